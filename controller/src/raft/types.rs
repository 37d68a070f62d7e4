//! What openraft is told: Holdfast's types, its own settings from ours, and what of its log is shown.

// The macro below names openraft's own alias of its tokio runtime, which is marked as deprecated.
#![allow(deprecated)]

use openraft::{Config as RaftConfig, ConfigError, SnapshotPolicy};
use serde::{Deserialize, Serialize};

use holdfast_metadata::{Command, Rejection, Response};

use crate::config::Config;

/// The answer to a log entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Index of the entry.
    pub index: u64,
    /// What became of the command; none for an entry without one.
    pub result: Option<Result<Response, Rejection>>,
}

openraft::declare_raft_types!(
    /// The controller quorum: commands of the metadata machine, random node ids, nodes known by their address.
    pub TypeConfig: D = Command, R = Reply, NodeId = u64, Node = openraft::BasicNode
);

/// A log entry: a command, a membership, or nothing, under its [`LogId`].
pub(super) type Entry = openraft::alias::EntryOf<TypeConfig>;
/// Term, leader and index of an entry.
pub(super) type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// Term and candidate that a node voted for.
pub(super) type Vote = openraft::alias::VoteOf<TypeConfig>;
/// Members and the entry that set them.
pub(super) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot is true at.
pub(super) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot with its bytes.
pub(super) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, bytes::Bytes>;

/// How long a snapshot may be on its way, ms, for who sends it and who receives it.
pub(super) const SNAPSHOT_TIMEOUT_MS: u64 = 60_000;

/// openraft's configuration for this controller.
pub(super) fn settings(config: &Config) -> Result<RaftConfig, ConfigError> {
    RaftConfig {
        cluster_name: "holdfast".to_owned(),
        heartbeat_interval: config.heartbeat_interval_ms,
        election_timeout_min: config.election_timeout_min_ms,
        election_timeout_max: config.election_timeout_max_ms,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_interval_entries),
        max_in_snapshot_log_to_keep: config.snapshot_keep_entries,
        // Cut in steps: a purge is a write with an fsync.
        purge_batch_size: (config.snapshot_interval_entries / 4).max(1),
        // Beyond this many entries behind, a snapshot is sent: never while the log still has them.
        replication_lag_threshold: config.snapshot_interval_entries.saturating_add(config.snapshot_keep_entries),
        max_payload_entries: 256,
        install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
        // A node that was away must not depose a leader that serves.
        enable_pre_vote: Some(true),
        // The image is in memory and the commit mark is written lazily: a restarted leader has to be elected again,
        // or it could serve a state older than one that it showed before.
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms ..500ms".to_owned(),
        api_channel_size: Some(4_096),
        notification_channel_size: Some(4_096),
        ..RaftConfig::default()
    }
    .validate()
}

/// The filter of the log. The consensus library tells at `info` what only its authors need, and of a controller that is
/// not reached several times a second, which `network` tells once.
pub fn log_filter(level: &str) -> String {
    const TELLS_EACH_CALL: [&str; 3] =
        ["openraft::core::heartbeat", "openraft::replication", "openraft::engine::handler::replication_handler"];
    if level.contains("openraft") {
        return level.to_owned();
    }
    let quieted = TELLS_EACH_CALL.iter().map(|module| format!(",{module}=error"));
    format!("{level},openraft=warn{}", quieted.collect::<String>())
}
