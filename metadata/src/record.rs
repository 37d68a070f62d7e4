//! What the cluster's state is made of, and the records that change it.
//!
//! A record holds the whole new value of one thing, so that applying it needs no other knowledge. Most records travel
//! to the brokers, see [`Record::travels`]; all of them together are the snapshot of the controller quorum.
//! A field added later needs `#[serde(default)]` with the meaning of the time before it, and belongs to a newer metadata
//! version (see [`crate::version`]): until that is finalised it is left out of what is stored and hashed
//! (`skip_serializing_if`), for an older controller refuses what it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, FolderToken, IncarnationId, LeaderEpoch, MetadataVersion, Offset,
    PartitionEpoch, PartitionIndex, ProducerId, TopicId,
};

use crate::{
    history::HistoryHash,
    recovery::ControllerRecovery,
    trust::{Distrust, LostDisk, PartitionRecovery, ReplicaClaim},
    version::VersionRange,
};

/// One start of one broker, as it registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerRegistration {
    /// Key of the registration: a new one of the same broker takes the place of the old one.
    pub broker_id: BrokerId,
    /// Epoch of this registration; never given again, not even to another broker (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// Names this start of the process.
    pub incarnation_id: IncarnationId,
    /// Names the data folder; another one means that the records are gone.
    pub directory_id: DirectoryId,
    /// Starts on this data folder, this one included; going back means that an old disk was restored.
    pub boot_counter: u64,
    /// Address for clients, `host:port`.
    pub client_address: String,
    /// Address for other nodes, `host:port`.
    pub peer_address: String,
    /// Rack or zone, over which replicas are spread; `None` if the broker names none.
    #[serde(default)]
    pub rack: Option<String>,
    /// Metadata versions that it supports.
    #[serde(default)]
    pub versions: VersionRange,
    /// True while it has no live session: it leads nothing and is in no ISR.
    pub fenced: bool,
    /// True once it asked to leave: it joins no ISR, and leads only what nobody else can lead.
    #[serde(default)]
    pub shutting_down: bool,
    /// What the folder has to show when the broker registers again; `None` before metadata version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<FolderToken>,
}

impl BrokerRegistration {
    /// True if replicas may be placed on it and leaders moved to it.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }
}

/// The state of one partition that its leader and the controller agree on.
///
/// `isr` and `elr` have no member in common, are subsets of `replicas`, and stand in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionState {
    /// The leader, always a member of the ISR; `None` while the partition is offline.
    pub leader: Option<BrokerId>,
    /// Grows whenever the leader changes, also to none.
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change of this state.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas, the preferred leader first. During a move: those that it is to have, then those that leave.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas, none of them fenced. Empty only while there is no leader.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas outside the ISR (KIP-966): they hold every acknowledged record. Empty while the ISR
    /// has at least min.insync.replicas members.
    pub elr: Vec<BrokerId>,
    /// Those of `replicas` that a move brings in (KIP-455). Empty, like `removing`, while no move is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adding: Vec<BrokerId>,
    /// Those of `replicas` that leave once all others are in sync.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removing: Vec<BrokerId>,
    /// Where the high watermark has stood since the ISR has fewer than min.insync.replicas members, as its leader said:
    /// every acknowledged record is below it. `None` while the ISR has enough, or nobody has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_high_watermark: Option<Offset>,
    /// Leader epoch of the last record below it: an old copy of a log may end past it, with records that were cut off since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_leader_epoch: Option<LeaderEpoch>,
    /// Leader epoch of the leader that said so: who has a record of it, or of a later one, holds what that leader held. Between
    /// the two epochs stand records of leaders whose logs may have been cut off since. Since metadata version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_in: Option<LeaderEpoch>,
    /// What brokers that started again since said of their logs: of the eligible replicas, and of all while there is no
    /// leader. An eligible replica without one did not start again. Also of strays: logs from before the controllers were
    /// recovered, which came once the partition was settled, and are placed nowhere. In no order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ReplicaClaim>,
    /// Replicas whose records do not count until they were copied again, and why. None of them is in the ISR or the ELR.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distrusted: Vec<Distrust>,
    /// Since the controllers were recovered the partition has had no leader: who was in sync is not known, every replica
    /// whose broker was not given up is eligible, and counts by what it says alone. See [`crate::recovery`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub unsettled: bool,
    /// Those of `removing` that brokers were found to hold while the partition is unsettled, where the metadata does not place
    /// them: they came there by moves that are lost. Empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<BrokerId>,
}

impl PartitionState {
    /// True if a log of which this is said may hold all that is acknowledged, as far as the frozen high watermark tells.
    pub fn reaches_frozen(&self, claim: &ReplicaClaim) -> bool {
        let reaches = self.frozen_high_watermark.is_none_or(|high_watermark| claim.end >= high_watermark);
        reaches && self.frozen_leader_epoch.is_none_or(|epoch| claim.leader_epoch >= Some(epoch))
    }

    /// True if a log of which this is said certainly holds all below the frozen high watermark, which has to be known: its last
    /// record is of the leadership of the last one below it, or of the one that said so, or a later one.
    pub fn holds_frozen(&self, claim: &ReplicaClaim) -> bool {
        let is_of_the_same = self.frozen_leader_epoch.is_none_or(|epoch| claim.leader_epoch == Some(epoch));
        let is_later = self.frozen_in.is_none_or(|epoch| claim.leader_epoch >= Some(epoch));
        self.reaches_frozen(claim) && (is_of_the_same || is_later)
    }

    /// True while a move of replicas is under way (KIP-455).
    pub fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// What a broker that started again said of its log, as far as it still counts.
    pub fn claim(&self, broker_id: BrokerId) -> Option<&ReplicaClaim> {
        self.claims.iter().find(|claim| claim.broker_id == broker_id)
    }

    /// What was said of logs that count for nothing, as the partition is not placed there: see `claims`.
    pub fn strays(&self) -> impl Iterator<Item = &ReplicaClaim> {
        self.claims.iter().filter(|claim| !self.replicas.contains(&claim.broker_id))
    }

    /// The replicas that it is to have, the preferred leader first: those that leave stand last.
    pub fn target(&self) -> &[BrokerId] {
        &self.replicas[..self.replicas.len().saturating_sub(self.removing.len())]
    }

    /// The replicas that it had before the move under way; all of them while there is none. Their order before the
    /// move is not known: those that stay come first.
    pub fn original(&self) -> Vec<BrokerId> {
        self.replicas.iter().copied().filter(|replica| !self.adding.contains(replica)).collect()
    }

    /// True if a replica is not in sync that was there before any move under way.
    pub fn is_under_replicated(&self) -> bool {
        self.replicas.iter().any(|replica| !self.isr.contains(replica) && !self.adding.contains(replica))
    }

    /// Number of replicas; during a move the smaller of before and after, so that a move never asks for more replicas
    /// in sync than either has. Those that were found elsewhere are of neither.
    pub fn replication_factor(&self) -> usize {
        let not_before = self.adding.len() + self.found.len();
        self.replicas.len().saturating_sub(not_before.max(self.removing.len()))
    }
}

/// One change of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The cluster has its id.
    Cluster {
        /// Id of the cluster; a record with another one does not fit once it is set.
        cluster_id: ClusterId,
    },
    /// A broker's registration, whole.
    Broker(BrokerRegistration),
    /// A broker's registration was removed.
    RemoveBroker {
        /// The broker that is forgotten.
        broker_id: BrokerId,
    },
    /// A topic came to be, without partitions yet.
    Topic {
        /// Id of the topic, used neither before nor after it.
        topic_id: TopicId,
        /// Name of the topic, which no other topic has at the time.
        name: String,
    },
    /// A topic was deleted with its partitions. Stays in the snapshots until enough newer deletions stand behind it, because
    /// only this lets a broker that was away delete the topic's data: absence never does.
    RemoveTopic {
        /// The topic whose data brokers delete.
        topic_id: TopicId,
    },
    /// A topic's settings that differ from the defaults, whole.
    TopicConfig {
        /// The topic whose settings these are from now on.
        topic_id: TopicId,
        /// Values by key, as text; what is not named has its default.
        configs: BTreeMap<String, String>,
    },
    /// A partition's state, whole. New partitions come in order of their index.
    Partition {
        /// Topic of the partition; the image has to hold it.
        topic_id: TopicId,
        /// Index of the partition.
        partition: PartitionIndex,
        /// Takes the place of the old state; its two epochs never go back.
        state: PartitionState,
    },
    /// A broker is to be emptied, or no longer. Outlives its registration's changes; gone with
    /// [`Record::RemoveBroker`].
    BrokerDrain {
        /// The broker that is marked, or no longer.
        broker_id: BrokerId,
        /// True while it is to be emptied: it is given no replica.
        draining: bool,
    },
    /// How fast each broker may copy for moves.
    MoveLimit {
        /// Bytes a second; 0: no limit.
        bytes_per_second: u64,
    },
    /// The first producer id that nobody was given yet.
    NextProducerId {
        /// First id of the next block; never goes back.
        next_producer_id: ProducerId,
    },
    /// The broker epoch that the next registration gets.
    NextBrokerEpoch {
        /// Starts at 1, grows by one with each registration and never goes back.
        next_broker_epoch: BrokerEpoch,
    },
    /// The metadata version that is finalised: nothing of a newer one is proposed.
    Version {
        /// Never goes back; 1 where no record says anything.
        version: MetadataVersion,
    },
    /// A partition was made to go on with a replica that may lack acknowledged records, because an operator said so. Stored
    /// under the name that it had at first.
    #[serde(rename = "recovery")]
    PartitionRecovery(PartitionRecovery),
    /// The disk of a broker was given up, because an operator said so.
    LostDisk(LostDisk),
    /// The controllers went on from one of them, because an operator said so.
    ControllerRecovery(ControllerRecovery),
    /// The hash of all changes up to here begins, or is this one in a snapshot.
    History {
        /// The hash as of this record.
        hash: HistoryHash,
    },
}

impl Record {
    /// True if brokers are told of it; false for the controllers' own counters and hash, for disks that were given up, and
    /// for the cluster id, which a broker knows from its data folder.
    pub fn travels(&self) -> bool {
        match self {
            Self::Broker(_)
            | Self::RemoveBroker { .. }
            | Self::Topic { .. }
            | Self::RemoveTopic { .. }
            | Self::TopicConfig { .. }
            | Self::Partition { .. }
            | Self::BrokerDrain { .. }
            | Self::MoveLimit { .. }
            | Self::Version { .. }
            | Self::PartitionRecovery(_)
            | Self::ControllerRecovery(_) => true,
            Self::Cluster { .. }
            | Self::NextProducerId { .. }
            | Self::NextBrokerEpoch { .. }
            | Self::LostDisk(_)
            | Self::History { .. } => false,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde gives the shape
fn is_false(value: &bool) -> bool {
    !value
}
