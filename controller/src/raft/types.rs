//! What openraft is told about Holdfast's types.

// The macro below names openraft's own alias of its tokio runtime, which is marked as deprecated.
#![allow(deprecated)]

use serde::{Deserialize, Serialize};

use holdfast_metadata::{Command, Rejection, Response};

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

/// A log entry.
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
