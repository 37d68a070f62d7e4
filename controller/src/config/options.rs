//! The table of options. One block each: meaning, what goes wrong at the extremes, type, default, range.

use std::{fmt::Write as _, ops::RangeInclusive, path::PathBuf};

use toml_edit::Value;
use uuid::Uuid;

use super::value::{FromToml, LogFormat};

/// Declares the options: the struct, its defaults, the setter by key, and the documentation.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $shown:literal, $range:expr;)*) => {
        /// The configuration of one controller.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $type,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Config {
            /// Every key, in the table's order.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Sets one option. `Ok(false)`: there is no such key.
            pub(super) fn set(&mut self, key: &str, value: &Value) -> Result<bool, String> {
                match key {
                    $(stringify!($name) => {
                        let range: Option<RangeInclusive<u64>> = $range;
                        self.$name = <$type as FromToml>::from_toml(value, range)?;
                        Ok(true)
                    })*
                    _ => Ok(false),
                }
            }

            /// The options as a Markdown document.
            pub fn markdown() -> String {
                let mut text = String::from(HEADING);
                $({
                    let range: Option<RangeInclusive<u64>> = $range;
                    let range = range.map_or_else(String::new, |r| format!(", {} to {}", r.start(), r.end()));
                    let doc = [$($doc),+].map(str::trim).join(" ");
                    let _ = writeln!(text, "\n### `{}`\n\nDefault: {}{range}.\n\n{doc}", stringify!($name), $shown);
                })*
                text
            }
        }
    };
}

const HEADING: &str = "# Options of holdfast-controller\n\nWritten by a test from `src/config/options.rs`. \
Each is a key of the TOML file and of `--set key=value`.\n";

options! {
    /// Folder of this controller's identity, log and snapshots. Its loss makes the controller a new node.
    data_dir: PathBuf = PathBuf::new(), "none, required", None;
    /// Address to listen on, host:port, for brokers, other controllers and administration.
    listen: String = "127.0.0.1:9095".to_owned(), "`127.0.0.1:9095`", None;
    /// Address under which the others reach this controller, host:port; empty: the same as `listen`.
    /// It must be one of `peers`. Names are resolved again at each connect.
    advertised_address: String = String::new(), "empty", None;
    /// Addresses of all controllers, itself included, the same list on each. Three or five; one for trials.
    peers: Vec<String> = Vec::new(), "none, required", None;
    /// Id of the cluster, a UUID. Absent: chosen at the first formation. Set, a controller refuses every other cluster.
    cluster_id: Option<Uuid> = None, "none", None;
    /// A broker without a heartbeat for this long is fenced, in ms. Short: a garbage pause of the host fences.
    /// Long: the leaders of a hung broker stay unavailable for as long.
    broker_session_timeout_ms: u64 = 3_000, "3000", Some(200..=600_000);
    /// A broker whose connection broke and was not made again within this time is fenced, in ms.
    /// Short: a lost packet may cost a fail-over. Long: a killed broker is replaced later.
    broker_disconnect_grace_ms: u64 = 500, "500", Some(0..=600_000);
    /// Most brokers with a session at once. Past it: OVERLOADED.
    max_broker_sessions: u64 = 1_000, "1000", Some(1..=100_000);
    /// Most connections at once, of brokers, controllers and operators. More wait in the system's queue.
    max_connections: u64 = 4_096, "4096", Some(8..=1_000_000);
    /// Replicas of a topic that names no number. Equal to `default_min_insync_replicas`, one failure stops writes.
    default_replication_factor: u32 = 3, "3", Some(1..=15);
    /// Partitions of a topic that names no number.
    default_partition_count: u32 = 6, "6", Some(1..=10_000);
    /// `min.insync.replicas` of a topic that names none. At 1 an acknowledged record may live on one disk only.
    default_min_insync_replicas: u32 = 2, "2", Some(1..=15);
    /// Log entries between two snapshots. Few: more writing. Many: a longer start and a longer log.
    snapshot_interval_entries: u64 = 10_000, "10000", Some(10..=10_000_000);
    /// Log entries kept behind a snapshot, so that a controller that was away for a moment needs no snapshot.
    snapshot_keep_entries: u64 = 1_000, "1000", Some(0..=10_000_000);
    /// Interval of the active controller's heartbeats to the others, in ms.
    heartbeat_interval_ms: u64 = 150, "150", Some(10..=60_000);
    /// Least election timeout, in ms. A controller campaigns once `election_timeout_max_ms` (the lease) and a random
    /// time between the two have passed without a heartbeat: at the defaults 0.85 to 1 s.
    election_timeout_min_ms: u64 = 350, "350", Some(20..=120_000);
    /// Greatest election timeout and length of the active controller's lease, in ms.
    election_timeout_max_ms: u64 = 500, "500", Some(30..=240_000);
    /// Deadline of a change of the metadata, in ms. Past it the outcome is unknown.
    proposal_timeout_ms: u64 = 10_000, "10000", Some(100..=600_000);
    /// Interval at which the active controller gives leaderships back to preferred replicas, in ms; 0: never.
    /// A preferred replica must have been eligible at two checks in a row.
    leader_rebalance_interval_ms: u64 = 5_000, "5000", Some(0..=3_600_000);
    /// Interval at which an unformed controller asks its peers whether a cluster is formed, in ms.
    formation_interval_ms: u64 = 100, "100", Some(10..=60_000);
    /// Most changes of the metadata in flight. Past it: OVERLOADED.
    max_proposals: u64 = 1_024, "1024", Some(1..=65_536);
    /// Form of the log: `text` or `json`.
    log_format: LogFormat = LogFormat::Text, "`text`", None;
    /// Least severe messages that are logged, in the form of `RUST_LOG`, as `info` or `info,openraft=debug`.
    log_level: String = "info".to_owned(), "`info`", None;
}

impl Config {
    /// The address under which the others reach this controller.
    pub fn own_address(&self) -> &str {
        if self.advertised_address.is_empty() { &self.listen } else { &self.advertised_address }
    }
}
