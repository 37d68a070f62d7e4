//! Every option of the broker, one block each: meaning, unit, default, range, and what goes wrong at the extremes.
//!
//! This is the only place that names an option: the file, the `--set` flags and the printed reference are read by it.

use std::path::PathBuf;

use holdfast_node::settings::{Address, LogFormat};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

holdfast_node::options! {
    /// All settings of one broker, checked. Passed on explicitly: there is no global.
    pub struct Config;

    /// Id of this broker, unique in the cluster, given by the operator.
    broker_id: Option<u32> = None => required;
    /// Folder of the logs; belongs to this broker alone.
    data_dir: PathBuf = PathBuf::new() => required;
    /// Where clients are served, `host:port`; port 0 takes a free one.
    client_listen: Address = Address::default() => required;
    /// The address that clients are told, `host:port`. Default: client_listen.
    client_advertised_address: Option<Address> = None;
    /// Where brokers are served, `host:port`; port 0 takes a free one. Differs from client_listen:
    /// any process that reaches it can pose as a replica, so keep it away from clients.
    peer_listen: Address = Address::default() => required;
    /// The address that other nodes are told, `host:port`. Default: peer_listen.
    peer_advertised_address: Option<Address> = None;
    /// Where metrics are served to Prometheus (`GET /metrics`, HTTP), `host:port`; port 0 takes a free one. Absent: they
    /// are not. Keep it away from clients: all who reach it read the names of topics that have a trouble.
    metrics_listen: Option<Address> = None;
    /// Addresses of all controllers, a list of `host:port`.
    controllers: Vec<Address> = Vec::new() => required;
    /// Rack or zone of this broker; replicas of a partition are spread over racks. Empty: none.
    rack: String = String::new();
    /// `text` for people, `json` for collectors.
    log_format: LogFormat = LogFormat::Text;
    /// What is logged: error, warn, info, debug or trace, or directives as `info,holdfast_broker=debug`.
    log_level: String = "info".to_owned();

    /// Threads that serve connections. 0: one a core, at most 4. Too many cost memory and context switches.
    edge_threads: u32 = 0, in 0, 256;
    /// Threads that run partitions. 0: one for two cores, at most 4. A partition stays on one of them.
    partition_threads: u32 = 0, in 0, 256;
    /// Threads that write and sync logs. They block in the kernel: more of them let more fdatasyncs share one journal
    /// commit; above the number of busy partitions they are idle.
    log_writer_threads: u32 = 8, in 1, 256;
    /// Reads of old records from disk at the same time, for consumers and for followers each. Each takes a blocking
    /// thread.
    log_read_threads: u32 = 4, in 1, 256;

    /// Messages that may wait for one partition. Below the batches in flight of its producers they are slowed down.
    partition_mailbox: u32 = 1024, in 16, 65_536;
    /// Produces of one partition that may wait for replication. Past it: OVERLOADED.
    partition_pending_produces: u32 = 4096, in 16, 1_000_000;
    /// Idempotent producers that are remembered, of all partitions and each of them; about 600 bytes each. Past it new ones
    /// get TOO_MANY_PRODUCERS until others have been idle for 10 minutes; so do those of a topic that has more than three times
    /// as many as are left for others.
    producers_max: u32 = 200_000, in 1_000, 100_000_000;
    /// Bytes of produce requests over all connections: a quarter, and 21 MiB at least, for what is on its way in, the rest for
    /// what is in work. Past it: OVERLOADED. What comes from one address gets at most three times as much as then stays free
    /// for others: three quarters if it is alone.
    max_in_flight_bytes: u64 = 256 * MIB, in 56 * MIB, 64 * GIB;
    /// Bytes of produce requests in work on one stream, a quarter of those in work at most but enough for the largest
    /// request. Past it the stream is not read.
    max_in_flight_bytes_per_stream: u64 = 32 * MIB, in 17 * MIB, GIB;
    /// Connections of clients. Past it a new one is served for some seconds at most, for probes; one address may have a
    /// quarter of them, 64 at least; of IPv6 a network of /64 counts as one address. Of streams there may be twice as many,
    /// and a quarter of these from one address.
    max_connections: u32 = 4096, in 1, 1_000_000;
    /// Calls and streams at the same time on one connection.
    max_streams_per_connection: u32 = 256, in 8, 100_000;
    /// HTTP/2 window of one stream, bytes. Small ones cap the throughput of a stream at window / round trip.
    http2_stream_window_bytes: u32 = 8 * 1024 * 1024, in 65_535, 1_073_741_824;
    /// HTTP/2 window of one connection, bytes.
    http2_connection_window_bytes: u32 = 16 * 1024 * 1024, in 65_535, 1_073_741_824;
    /// How often a connection that others made is pinged, ms. One whose node was unplugged is forgotten after this and
    /// http2_keep_alive_timeout_ms; nobody waits for that. Short: a thousand idle clients cost a good part of a core.
    http2_keep_alive_interval_ms: u64 = 10_000, in 100, 3_600_000;
    /// How long an answer to such a ping may take, ms. Short: a busy or paused client is taken for a dead one.
    http2_keep_alive_timeout_ms: u64 = 10_000, in 100, 3_600_000;
    /// How often a connection to another node is pinged, ms. An unplugged one is given up after this and
    /// peer_keep_alive_timeout_ms: so long what is asked of it waits.
    peer_keep_alive_interval_ms: u64 = 1_000, in 100, 3_600_000;
    /// How long its answer to a ping may take, ms. Short: a busy or paused node is taken for a dead one.
    peer_keep_alive_timeout_ms: u64 = 2_000, in 100, 3_600_000;
    /// Age at which a client's connection takes no new call, ms; its streams end in good order within a tenth of it
    /// more, and the client connects again, perhaps to another broker. 0: never. Short: connections are made all the
    /// time.
    max_connection_age_ms: u64 = 600_000, in 0, 86_400_000;
    /// How long calls and streams may still run on a connection past max_connection_age_ms before it is closed, ms. Below
    /// produce_timeout_ms answers to batches that were taken may be lost; the client then asks again.
    max_connection_age_grace_ms: u64 = 60_000, in 0, 86_400_000;

    /// Memory for recent batches, bytes, over all partitions. Followers and tailing consumers read from it; below what
    /// is written in some ten milliseconds they fall back to the disk.
    tail_cache_bytes: u64 = 32 * MIB, in MIB, 64 * GIB;
    /// How long a batch stays in that memory, ms.
    tail_cache_age_ms: u64 = 30_000, in 100, 3_600_000;
    /// Bytes of appends that may wait for the disk, over all partitions. Past it producers get OVERLOADED.
    log_writer_queue_bytes: u64 = 128 * MIB, in 32 * MIB, 64 * GIB;
    /// Bytes of records that followers fetched and that may wait for the disk, over all partitions. Past it this broker
    /// reads nothing more from leaders until some are written: a replica catches up as fast as its disk.
    log_writer_fetched_bytes: u64 = 64 * MIB, in 16 * MIB, 64 * GIB;
    /// The most bytes that a consumer may ask for in one answer; the first batch is given whole even if larger.
    fetch_max_bytes: u32 = 8 * 1024 * 1024, in 65_536, 67_108_864;
    /// Memory for answers to consumers that were read and have not left the socket, bytes. The fuller it is the smaller
    /// answers become; when nothing is left, readers that take less than 256 KiB in 5 s lose their connection, and fetches that
    /// wait for 10 s are refused with OVERLOADED.
    fetch_memory_bytes: u64 = 64 * MIB, in 32 * MIB, 64 * GIB;
    /// Memory for answers that tell metadata or offsets and have not left the socket, bytes: readers that stand still keep
    /// nobody from finding its leaders.
    metadata_memory_bytes: u64 = 32 * MIB, in 8 * MIB, 64 * GIB;
    /// Requests in work at the same time on one consumer stream.
    fetches_per_stream: u32 = 32, in 1, 1024;
    /// Most bytes of one partition in one answer to a follower; the first batch is given whole even if larger.
    replica_fetch_max_bytes: u32 = 1024 * 1024, in 4096, 16_777_216;
    /// Memory for answers to followers that were read and have not left the socket, bytes.
    replica_fetch_memory_bytes: u64 = 32 * MIB, in 32 * MIB, 64 * GIB;

    /// A follower that was not caught up for so long leaves the ISR, ms. Short: the ISR flaps under load. Long:
    /// producers wait that long for a replica that hangs but keeps its session.
    replica_lag_time_max_ms: u64 = 10_000, in 500, 3_600_000;
    /// How long a produce waits for the in-sync replicas when the request does not say, ms.
    produce_timeout_ms: u64 = 30_000, in 100, 3_600_000;
    /// Longest wait of a consumer's fetch, ms.
    fetch_max_wait_ms: u64 = 30_000, in 100, 300_000;
    /// How often the broker tells the active controller that it lives, ms. Must be well below the controllers'
    /// broker_session_timeout_ms (3000).
    heartbeat_interval_ms: u64 = 500, in 50, 60_000;
    /// How long connecting to a controller or a broker may take, ms, the name's resolution included. An unplugged node
    /// answers nothing at all: this long is lost each time.
    connect_timeout_ms: u64 = 1_000, in 50, 60_000;
    /// Deadline of one call to a controller or a broker, ms.
    peer_rpc_timeout_ms: u64 = 3_000, in 100, 60_000;
    /// Longest pause between attempts to reach a controller or a broker, ms; the pauses grow and are jittered.
    reconnect_max_ms: u64 = 1_000, in 20, 60_000;
    /// How long a stop may take, ms: handing over, waiting for replicas that other partitions need, and the flush; the
    /// last 5 s, at most half, are kept for the flush. What kills a process that stops too slowly must wait some 5 s
    /// longer: Kubernetes gives 30 s by default.
    shutdown_timeout_ms: u64 = 20_000, in 0, 3_600_000;
    /// How often old segments are looked for, ms.
    retention_check_interval_ms: u64 = 60_000, in 100, 86_400_000;
    /// Bytes a second at which replicas are read again to find damage, one after the other. 0: never, and damage that no reader
    /// meets is found when it is needed. High: reads of old records wait for the disk.
    scrub_bytes_per_second: u64 = 16 * MIB, in 0, 64 * GIB;
    /// How often that begins again, ms; it goes on at once where a pass takes longer.
    scrub_interval_ms: u64 = 3_600_000, in 100, 2_592_000_000;
    /// How long the folder of a replica that was damaged stands aside before it is deleted, ms: what is in it may be wanted
    /// where all copies are bad. Those of deleted topics go at once, and the oldest first while the disk is below
    /// disk_reserve_bytes. One that may hold what nobody else does is never deleted: its partition has no leader, or not most
    /// replicas in sync, or was recovered since, or the replica halted. 0: none is deleted by age, but while the disk is low.
    set_aside_max_age_ms: u64 = 604_800_000, in 0, 31_536_000_000;
    /// How far the wall clock may be from those of most voters and brokers, ms; the controllers have one of their own. Beyond it
    /// retention by time stands still.
    clock_skew_max_ms: u64 = 60_000, in 1_000, 86_400_000;
    /// How long retention by time stands still after a jump of the wall clock or a start of the machine, ms; and until that
    /// clock agrees with the controllers.
    clock_thaw_ms: u64 = 600_000, in 0, 86_400_000;
    /// Free bytes that the disk must keep. Below it producers get DISK_FULL.
    disk_reserve_bytes: u64 = 256 * MIB, in 0, 1024 * GIB;
}
