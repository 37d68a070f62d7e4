//! The cluster as a broker and as the controllers see it.

use std::sync::Arc;

use holdfast_metadata::{
    Image, PartitionState, VersionRange, recovery::ControllerRecovery, status::Counts, trust::LostDisk,
};
use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, ControllerId, MetadataIndex, MetadataVersion, PartitionIndex,
};

use super::recovery::GivenUp;
use crate::{
    here::time_trust::Distrusted,
    partition::{findings::Kept, unopened},
};

/// The cluster as this broker knows it.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// Id of the cluster, which a broker's image does not hold; `None` before the first registration ever.
    pub cluster_id: Option<ClusterId>,
    /// Brokers, topics and partitions.
    pub image: Arc<Image>,
}

/// A metadata version was finalised, or could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalizedVersion {
    /// Index of the change; 0 if it was only checked.
    pub index: MetadataIndex,
    /// The version that was finalised before.
    pub before: MetadataVersion,
}

/// The cluster as a controller describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Id of the cluster; `None` while the controllers have formed none.
    pub cluster_id: Option<ClusterId>,
    /// Index of the last metadata change that is included.
    pub index: MetadataIndex,
    /// The controllers, by id.
    pub controllers: Vec<ControllerStatus>,
    /// The active controller, if there is one.
    pub active_controller: Option<ControllerId>,
    /// Raft term of the active controller.
    pub term: u64,
    /// Registered brokers, fenced ones included, by id.
    pub brokers: Vec<BrokerStatus>,
    /// How many topics, partitions and brokers there are, and how many of them are not as they should be.
    pub counts: Counts,
    /// The partitions in trouble, worst first; not all of them if there are many.
    pub troubled: Vec<TroubledPartition>,
    /// Most bytes a second that each broker copies for moves; 0: no limit.
    pub move_bytes_per_second: u64,
    /// The finalised metadata version.
    pub metadata_version: MetadataVersion,
    /// What operators gave up so that partitions went on: the newest, the newest last.
    pub recoveries: Vec<GivenUp>,
    /// What was given up so that the controllers went on from one of them: the newest, the newest last.
    pub controller_recoveries: Vec<ControllerRecovery>,
    /// The brokers that have not registered since the last of these.
    pub unheard_brokers: Vec<BrokerId>,
    /// The disks of brokers that operators gave up: the newest, the newest last.
    pub lost_disks: Vec<LostDisk>,
}

/// A controller of the quorum, as the active one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerStatus {
    /// Raft id, new with each empty data folder.
    pub id: ControllerId,
    /// Where other nodes reach it, `host:port`.
    pub address: String,
    /// True for a voter, false for a learner.
    pub voter: bool,
    /// Metadata versions that it supports; `None` if the answering controller was not told.
    pub versions: Option<VersionRange>,
}

/// A registered broker, as the active controller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerStatus {
    /// Id from the broker's configuration.
    pub broker_id: BrokerId,
    /// Epoch of its registration.
    pub broker_epoch: BrokerEpoch,
    /// Where clients reach it, `host:port`.
    pub client_address: String,
    /// Where other nodes reach it, `host:port`.
    pub peer_address: String,
    /// Rack or zone; `None` if it names none.
    pub rack: Option<String>,
    /// True while it has no live session: it leads nothing.
    pub fenced: bool,
    /// True once it has asked to leave.
    pub shutting_down: bool,
    /// True while it is to be emptied: it is given no replica.
    pub draining: bool,
    /// Replicas assigned to it, those included that are still moving to it or away from it.
    pub replica_count: u64,
    /// Partitions that it leads.
    pub leader_count: u64,
    /// Metadata versions that it supports.
    pub versions: VersionRange,
    /// Why it does not trust its wall clock, as it said in its last heartbeat; `None`: it does, or that is not known.
    pub clock_distrust: Option<Distrusted>,
    /// Its replicas that are damaged and go on, as it said in its last heartbeat; `None`: none, or that is not known.
    pub damaged: Option<Kept>,
    /// Its replicas whose logs cannot be opened, as it said in its last heartbeat; `None`: none, or that is not known.
    pub unopened: Option<unopened::Told>,
}

/// A partition that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TroubledPartition {
    /// Name of its topic.
    pub topic: String,
    /// Index within the topic, from 0.
    pub partition: PartitionIndex,
    /// Replicas, ISR and leader, as committed.
    pub state: PartitionState,
    /// min.insync.replicas of its topic.
    pub min_insync_replicas: u32,
    /// Replicas that are not in sync because their broker is fenced or no longer registered.
    pub missing_replicas: Vec<BrokerId>,
}
