//! What administration asks of the active controller.

use holdfast_metadata::{plan::PlanGoal, trust::LostDisk};
use holdfast_proto::ids::{BrokerId, MetadataIndex, MetadataVersion};

use super::{
    cluster::{ClusterStatus, FinalizedVersion},
    moves::{ChangedReplicas, MovePlan, ReplicaChange},
    quorum::{QuorumStatus, Removal, RemovalPlan},
    recovery::{DiskOrder, RecoveredPartition, RecoveryOrder},
    topics::{ChangedTopic, CreatedTopic, NewTopic, TopicChange, TopicDeletion},
};
use crate::services::other_nodes::RemoteAnswer;

/// The active controller. Every call ends by a deadline; a change is asked for again only if it certainly was not made.
pub trait ControllerAdmin: Send + Sync {
    /// Creates a topic, or only checks that it could be.
    fn create_topic(&self, topic: NewTopic) -> RemoteAnswer<'_, CreatedTopic>;

    /// Deletes a topic for good.
    fn delete_topic(&self, deletion: TopicDeletion) -> RemoteAnswer<'_, MetadataIndex>;

    /// Changes settings of a topic, or adds partitions; or only checks that it could.
    fn alter_topic(&self, change: TopicChange) -> RemoteAnswer<'_, ChangedTopic>;

    /// The quorum and the registered brokers.
    fn describe_cluster(&self) -> RemoteAnswer<'_, ClusterStatus>;

    /// Which replicas would move to reach the goal.
    fn plan_moves(&self, goal: PlanGoal) -> RemoteAnswer<'_, MovePlan>;

    /// Starts, changes or cancels moves.
    fn alter_replicas(&self, change: ReplicaChange) -> RemoteAnswer<'_, ChangedReplicas>;

    /// Marks a broker as one to be emptied, or takes the mark away.
    fn set_broker_drain(&self, broker_id: BrokerId, draining: bool) -> RemoteAnswer<'_, MetadataIndex>;

    /// Makes a newer metadata version the one that is used, or only checks that it could. The version before it.
    fn finalize_version(&self, version: MetadataVersion, validate_only: bool) -> RemoteAnswer<'_, FinalizedVersion>;

    /// Forgets a broker that is fenced and holds no replica.
    fn remove_broker(&self, broker_id: BrokerId) -> RemoteAnswer<'_, MetadataIndex>;

    /// Gives up the disk of a broker that is gone, or only says what that would come to.
    fn lose_disk(&self, order: DiskOrder) -> RemoteAnswer<'_, (LostDisk, MetadataIndex)>;

    /// Lets a partition without a leader go on, or only says what that would cost.
    fn recover_partition(&self, order: RecoveryOrder) -> RemoteAnswer<'_, RecoveredPartition>;

    /// The controllers of the quorum, as the active one sees them.
    fn describe_quorum(&self) -> RemoteAnswer<'_, QuorumStatus>;

    /// Takes a controller out of the quorum, or only says what would become of it.
    fn remove_controller(&self, removal: Removal) -> RemoteAnswer<'_, RemovalPlan>;
}
