//! Moves of replicas (KIP-455), as they are asked for and answered.
//!
//! What a plan has to reach is said by [`holdfast_metadata::plan::PlanGoal`].

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerId, MetadataIndex, PartitionIndex},
};

/// The replicas that one partition is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Name of the topic.
    pub topic: String,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Replicas that it has, the preferred leader first; told in a plan, not checked in a change.
    pub old_replicas: Vec<BrokerId>,
    /// Replicas that it is to have, the preferred leader first. Empty in a change: cancel the move under way.
    pub new_replicas: Vec<BrokerId>,
}

/// Moves that would be made, none of them started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovePlan {
    /// The moves; empty: everything is as it should be.
    pub moves: Vec<Move>,
    /// Partitions that should move but cannot, each with the reason in words.
    pub problems: Vec<String>,
    /// Metadata index that the plan was made at.
    pub index: MetadataIndex,
}

/// Moves to start, change or cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaChange {
    /// The moves, each decided alone; at most [`holdfast_metadata::limits::MAX_MOVES`].
    pub moves: Vec<Move>,
    /// Most bytes a second that each broker may copy for moves from now on, 0: no limit; `None`: as it is.
    pub move_bytes_per_second: Option<u64>,
}

/// What became of the moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedReplicas {
    /// One result a move, in their order. A move that was started takes its time.
    pub results: Vec<Result<(), ErrorDetail>>,
    /// Metadata index of the change.
    pub index: MetadataIndex,
}
