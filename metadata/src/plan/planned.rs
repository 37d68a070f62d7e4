//! What a plan has to reach, and the plan.

use std::collections::BTreeSet;

use holdfast_proto::ids::{BrokerId, TopicPartition};

/// What a plan has to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanGoal {
    /// Brokers to empty, besides those that are marked for it.
    pub drain: BTreeSet<BrokerId>,
    /// True: move only what has to leave a drained or removed broker.
    pub only_drain: bool,
}

/// Moves that would be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The moves, by topic name and partition.
    pub moves: Vec<PlannedMove>,
    /// Partitions that should move but cannot, each with the reason in words.
    pub problems: Vec<String>,
}

/// The replicas that one partition will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// The partition whose replicas, or whose order of replicas, changes.
    pub partition: TopicPartition,
    /// Name of its topic.
    pub topic: String,
    /// Replicas that it has now.
    pub old_replicas: Vec<BrokerId>,
    /// Replicas that it will have, the preferred leader first.
    pub new_replicas: Vec<BrokerId>,
}
