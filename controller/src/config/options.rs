//! The table of options. One block each: meaning, what goes wrong at the extremes, type, default, range.

use std::path::PathBuf;

use uuid::Uuid;

use holdfast_node::settings::{Address, LogFormat};

holdfast_node::options! {
    /// The configuration of one controller.
    pub struct Config;

    /// Folder of this controller's identity, log and snapshots. Its loss makes the controller a new node.
    data_dir: PathBuf = PathBuf::new() => required;
    /// Address to listen on, host:port, for brokers, other controllers and administration.
    listen: String = "127.0.0.1:9095".to_owned();
    /// Address under which the others reach this controller, host:port; empty: the same as `listen`.
    /// It must be one of `peers`. Names are resolved again at each connect.
    advertised_address: String = String::new();
    /// Where metrics are served to Prometheus (`GET /metrics`, HTTP), host:port; port 0 takes a free one. Absent: they are
    /// not. Keep it away from clients: all who reach it read the names of topics that have a trouble.
    metrics_listen: Option<Address> = None;
    /// Addresses of all controllers, itself included, the same list on each. Three or five; one for trials. Longer: new
    /// controllers join. Shorter: `holdfast quorum remove` first. A controller with another address keeps its vote.
    peers: Vec<String> = Vec::new() => required;
    /// Id of the cluster, a UUID. Absent: chosen at the first formation. Set, a controller refuses every other cluster.
    cluster_id: Option<Uuid> = None;
    /// A broker without a heartbeat for this long is fenced, in ms; after three quarters of it if another is fenced. Short: a
    /// garbage pause of the host fences. Long: the leaders of a hung broker stay unavailable for as long.
    broker_session_timeout_ms: u64 = 3_000, in 200, 600_000;
    /// A broker whose connection broke and was not made again within this time is fenced, in ms; at once if another is.
    /// Short: a lost packet may cost a fail-over. Long: a killed broker is replaced later.
    broker_disconnect_grace_ms: u64 = 500, in 0, 600_000;
    /// Most brokers with a session at once. Past it: OVERLOADED.
    max_broker_sessions: u64 = 1_000, in 1, 100_000;
    /// Most connections at once, of brokers, controllers and operators; one address has a quarter of them, and 64 if there
    /// are as many. More wait in the system's queue.
    max_connections: u64 = 4_096, in 8, 1_000_000;
    /// Replicas of a topic that names no number. Equal to `default_min_insync_replicas`, one failure stops writes.
    default_replication_factor: u32 = 3, in 1, 15;
    /// Partitions of a topic that names no number.
    default_partition_count: u32 = 6, in 1, 10_000;
    /// `min.insync.replicas` of a topic that names none. At 1 an acknowledged record may live on one disk only.
    default_min_insync_replicas: u32 = 2, in 1, 15;
    /// Log entries between two snapshots. Few: more writing. Many: a longer start and a longer log.
    snapshot_interval_entries: u64 = 10_000, in 10, 10_000_000;
    /// Bytes of log entries after which a snapshot is made, however few they are. Small: more writing. Large: a longer log.
    snapshot_interval_bytes: u64 = 64 << 20, in 65_536, 1 << 30;
    /// Log entries kept behind a snapshot, so that a controller that was away for a moment needs no snapshot.
    snapshot_keep_entries: u64 = 1_000, in 0, 10_000_000;
    /// Most bytes of log entries kept behind a snapshot, however few they are.
    snapshot_keep_bytes: u64 = 16 << 20, in 0, 1 << 30;
    /// Interval of the active controller's heartbeats to the others, in ms.
    heartbeat_interval_ms: u64 = 150, in 10, 60_000;
    /// Least election timeout, in ms. A controller campaigns once `election_timeout_max_ms` (the lease) and a random
    /// time between the two have passed without a heartbeat: at the defaults 0.85 to 1 s.
    election_timeout_min_ms: u64 = 350, in 20, 120_000;
    /// Greatest election timeout and length of the active controller's lease, in ms.
    election_timeout_max_ms: u64 = 500, in 30, 240_000;
    /// Deadline of a change of the metadata, in ms. Past it the outcome is unknown.
    proposal_timeout_ms: u64 = 10_000, in 100, 600_000;
    /// Interval at which the active controller gives leaderships back to preferred replicas, in ms; 0: never.
    /// A preferred replica must have been eligible at two checks in a row.
    leader_rebalance_interval_ms: u64 = 5_000, in 0, 3_600_000;
    /// Interval at which an unformed controller asks its peers whether a cluster is formed, in ms.
    formation_interval_ms: u64 = 100, in 10, 60_000;
    /// Most changes of the metadata in flight that others ask for: a quarter are operators', the rest brokers'. Past it:
    /// OVERLOADED. Fencing has places of its own.
    max_proposals: u64 = 1_024, in 2, 65_536;
    /// How far the wall clocks of brokers and controllers may be from one another, in ms, the time that a message is on its way
    /// included: retention by time goes on at brokers that agree with most. Less than some seconds: it stands still whenever a
    /// message is late. The brokers' `clock_skew_max_ms` holds as well.
    clock_skew_max_ms: u64 = 60_000, in 1_000, 86_400_000;
    /// Form of the log: `text` or `json`.
    log_format: LogFormat = LogFormat::Text;
    /// Least severe messages that are logged, in the form of `RUST_LOG`, as `info` or `info,openraft=debug`.
    log_level: String = "info".to_owned();
}

impl Config {
    /// The address under which the others reach this controller.
    pub fn own_address(&self) -> &str {
        if self.advertised_address.is_empty() { &self.listen } else { &self.advertised_address }
    }
}
