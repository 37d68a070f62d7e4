//! What the controllers agree to do: the entries of their log.
//!
//! A command carries everything that is not in the [`crate::Image`]: random ids and the liveness of sessions are
//! chosen by the active controller that proposes it. Commands are stored as JSON in the log; a field added later needs
//! `#[serde(default)]` with the meaning of the time before it, and a newer metadata version (see [`crate::version`]):
//! an older controller refuses fields and commands that it does not know, rather than decide without them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, ControllerId, DirectoryId, FolderToken, IncarnationId, LeaderEpoch,
    MetadataIndex, MetadataVersion, Offset, PartitionEpoch, PartitionIndex, TopicId, TopicPartition,
};

use crate::{
    history::HistoryHash,
    trust::{DistrustReason, FolderProof},
    version::VersionRange,
};

/// Something to decide. [`crate::apply_command`] says what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Gives the cluster its id, once and for all. Idempotent.
    FormCluster {
        /// Made at random by the proposer; refused if the cluster is formed under another one.
        cluster_id: ClusterId,
    },
    /// Registers one start of a broker, fenced.
    RegisterBroker(RegisterBroker),
    /// The broker's session ended: it leaves every ISR, and its leaderships end. Idempotent.
    FenceBroker {
        /// The broker whose session ended.
        broker_id: BrokerId,
        /// The registration that is meant; an older one is refused, so that a late fencing hits no newer start.
        broker_epoch: BrokerEpoch,
    },
    /// The sessions of these brokers ended together: they leave every ISR in one step, so that none of them counts for less
    /// than another because its turn came first. Those that are registered otherwise by now are passed over. Idempotent.
    FenceBrokers {
        /// The brokers whose sessions ended, at most [`crate::limits::MAX_BROKERS`].
        brokers: Vec<EndedSession>,
    },
    /// The broker is ready: it may lead and join ISRs. Idempotent.
    UnfenceBroker {
        /// The broker that is ready to lead and to follow.
        broker_id: BrokerId,
        /// The registration that is meant.
        broker_epoch: BrokerEpoch,
    },
    /// The broker wants to leave: its leaders move away, and it leaves every ISR that can spare it. May be repeated to
    /// learn how far that is. Lasts until the broker registers again.
    BeginControlledShutdown {
        /// The broker that wants to stop.
        broker_id: BrokerId,
        /// The registration that is meant.
        broker_epoch: BrokerEpoch,
    },
    /// Forgets a broker that is fenced and has no replica.
    UnregisterBroker {
        /// The broker to forget; refused while it is not fenced or has a replica.
        broker_id: BrokerId,
    },
    /// Creates a topic with its partitions and elects their leaders. Idempotent for one topic id.
    CreateTopic(CreateTopic),
    /// Deletes a topic for good; its id is never given again. Idempotent.
    DeleteTopic {
        /// Refused with UNKNOWN_TOPIC_ID if there never was such a topic.
        topic_id: TopicId,
    },
    /// Changes settings of a topic, or adds partitions.
    AlterTopic(AlterTopic),
    /// ISR changes that a leader proposes (KIP-497).
    AlterPartition(AlterPartition),
    /// Starts, changes or cancels moves of replicas (KIP-455).
    AlterReplicas(AlterReplicas),
    /// Marks a broker as one to be emptied, or takes the mark away. Idempotent.
    SetBrokerDrain {
        /// The broker, which has to be registered; it may be fenced.
        broker_id: BrokerId,
        /// True: it is given no replica from now on.
        draining: bool,
    },
    /// Gives leadership back to the preferred replicas, where they are in sync.
    ElectLeaders {
        /// Which partitions; empty: all.
        #[serde(default)]
        partitions: Vec<TopicPartition>,
    },
    /// Gives the broker a block of producer ids that nobody else has.
    AllocateProducerIds {
        /// The broker that gives the ids to its producers.
        broker_id: BrokerId,
        /// The registration that is meant; another one is refused.
        broker_epoch: BrokerEpoch,
    },
    /// Makes a newer metadata version the one that is used from now on; there is no way back (KIP-584). Idempotent.
    FinalizeVersion(FinalizeVersion),
    /// A broker shows another token from now on. Idempotent.
    RenewFolderToken {
        /// The broker whose folder holds it, durably.
        broker_id: BrokerId,
        /// The registration that is meant; another one is refused.
        broker_epoch: BrokerEpoch,
        /// What the folder has to show at the next registration.
        token: FolderToken,
    },
    /// A broker does not vouch for some of its replicas any more: they leave the ISR and the eligible ones, and lead nothing.
    DistrustReplicas(DistrustReplicas),
    /// A partition without a leader goes on with a replica that may lack acknowledged records.
    RecoverPartition(RecoverPartition),
    /// An operator says that the disk of a broker that is gone will not come back: none of its replicas counts until it was
    /// copied again, and nobody waits for it. Refused while the broker is not fenced. Idempotent.
    LoseDisk {
        /// The broker whose disk is lost.
        broker_id: BrokerId,
        /// The registration that is meant; another one is refused. 0: it never registered, and is expected since a recovery of the
        /// controllers.
        broker_epoch: BrokerEpoch,
        /// When it was asked for, ms since 1970 by the clock of the active controller.
        at_ms: u64,
    },
    /// Begins the hash of all changes, on every controller at this entry. For metadata that began before there was one.
    BeginHistory,
    /// What the active controller and most others had at an index: a controller that had another hash there decided
    /// otherwise, and must not go on. Changes nothing.
    CheckHistory {
        /// An index below that of this command.
        index: MetadataIndex,
        /// The hash of all changes up to it.
        hash: HistoryHash,
    },
}

/// One of the sessions that ended together, see [`Command::FenceBrokers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedSession {
    /// The broker whose session ended.
    pub broker_id: BrokerId,
    /// The registration that is meant; passed over if it is another by now.
    pub broker_epoch: BrokerEpoch,
}

/// See [`Command::RegisterBroker`]. The fields are those of [`crate::record::BrokerRegistration`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterBroker {
    /// Id that the broker itself brings; controllers give none.
    pub broker_id: BrokerId,
    /// Names this start of the process, random; the same one again is the same registration.
    pub incarnation_id: IncarnationId,
    /// Names the data folder.
    pub directory_id: DirectoryId,
    /// Starts on this data folder, this one included, from 1.
    pub boot_counter: u64,
    /// Address for clients, `host:port`.
    pub client_address: String,
    /// Address for other nodes, `host:port`.
    pub peer_address: String,
    /// Rack or zone, over which replicas are spread; `None` if the broker names none.
    #[serde(default)]
    pub rack: Option<String>,
    /// Metadata versions that the broker supports.
    #[serde(default)]
    pub versions: VersionRange,
    /// True if the active controller still holds a live session of another incarnation of this id; the registration is
    /// then refused with DUPLICATE_BROKER_REGISTRATION. To be false as soon as that session's connection is gone, or a
    /// restarted broker would wait for a timeout.
    #[serde(default)]
    pub old_session_alive: bool,
    /// The registration that this one takes the place of, as the broker knows; `Some(0)`: there is none. Another one that
    /// came between is not displaced, so that a registration which was long on its way harms nobody. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<BrokerEpoch>,
    /// What the folder shows; `None` before metadata version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderProof>,
}

/// A topic to create, see [`Command::CreateTopic`]. Every problem with it is reported at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopic {
    /// Name of 1 to 249 characters; refused if another topic that is not deleted has it.
    pub name: String,
    /// The id, random, chosen by the proposer.
    pub topic_id: TopicId,
    /// Number of partitions, at least 1. The cluster's default is filled in by the proposer.
    pub partition_count: u32,
    /// Number of replicas, at least 1. The cluster's default is filled in by the proposer.
    pub replication_factor: u32,
    /// Settings that differ from the defaults. If the cluster's default of min.insync.replicas is another than
    /// [`crate::TopicConfig`]'s, the proposer puts it here, at most the replication factor.
    #[serde(default)]
    pub configs: BTreeMap<String, String>,
}

/// What changes of one topic, see [`Command::AlterTopic`]. All of it is done, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterTopic {
    /// The topic to change, which has to exist.
    pub topic_id: TopicId,
    /// Settings to change; `None` goes back to the default. Others stay.
    #[serde(default)]
    pub configs: BTreeMap<String, Option<String>>,
    /// New number of partitions, more than now; `None`: unchanged.
    #[serde(default)]
    pub partition_count: Option<u32>,
}

/// ISR changes of one leader, see [`Command::AlterPartition`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterPartition {
    /// The broker that proposes; has to lead the partitions.
    pub broker_id: BrokerId,
    /// Its registration; the whole command is refused if it is not the current one.
    pub broker_epoch: BrokerEpoch,
    /// The changes, each decided alone; at most [`crate::limits::MAX_ISR_CHANGES`].
    pub changes: Vec<IsrChange>,
}

/// The ISR that a leader proposes for one partition, and the epochs that it knew when it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsrChange {
    /// Topic of the partition; a change of one that was deleted is refused.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Epoch of the proposer's leadership.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch that the change starts from.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR, in any order.
    pub new_isr: Vec<IsrMember>,
    /// The proposer's high watermark, if it is sure that nothing past it was acknowledged. Kept if the new ISR is too small
    /// to acknowledge more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark: Option<Offset>,
    /// Leader epoch of the last record below it; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark_epoch: Option<LeaderEpoch>,
}

/// A proposed member of an ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsrMember {
    /// A replica of the partition, the proposing leader included.
    pub broker_id: BrokerId,
    /// The registration under which it caught up (KIP-903).
    pub broker_epoch: BrokerEpoch,
}

/// Replicas that a broker does not vouch for, see [`Command::DistrustReplicas`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistrustReplicas {
    /// The broker that holds them.
    pub broker_id: BrokerId,
    /// Its registration; the command is refused if it is not the current one.
    pub broker_epoch: BrokerEpoch,
    /// The replicas; at most [`crate::limits::MAX_ISR_CHANGES`]. What is not the broker's, is gone or has
    /// changed is passed over: the broker looks at the metadata and tells it again.
    pub replicas: Vec<DistrustedReplica>,
}

/// One replica that its broker does not vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistrustedReplica {
    /// Topic of the partition.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Partition epoch of the state that the broker knows. Passed over if it is another by now: a late command must not
    /// take out a replica that has begun again since.
    pub partition_epoch: PartitionEpoch,
    /// Why it is not believed.
    pub reason: DistrustReason,
}

/// What an operator accepts, see [`Command::RecoverPartition`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverPartition {
    /// Topic of the partition.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// The broker whose replica the partition is to go on with; it has to be alive.
    pub broker_id: BrokerId,
    /// The state that the operator was shown: refused if it has changed since.
    pub partition_epoch: PartitionEpoch,
    /// When it was asked for, ms since 1970 by the clock of the proposer.
    pub at_ms: u64,
}

/// Moves to start, change or cancel, see [`Command::AlterReplicas`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterReplicas {
    /// The moves, each decided alone; at most [`crate::limits::MAX_MOVES`].
    pub moves: Vec<ReplicaMove>,
    /// Most bytes a second that each broker may copy for moves from now on, 0: no limit; `None`: as it is. Takes effect
    /// whatever becomes of the moves.
    #[serde(default)]
    pub move_bytes_per_second: Option<u64>,
}

/// Where the replicas of one partition are to be. Refused if another move of the same command names the partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaMove {
    /// Topic of the partition that moves.
    pub topic_id: TopicId,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// The replicas that it is to have, the preferred leader first. Empty: those that it had before the move under way.
    pub new_replicas: Vec<BrokerId>,
}

/// The version to use from now on, and who was asked, see [`Command::FinalizeVersion`]. Brokers said it when they registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalizeVersion {
    /// The new version, not below the one that is finalised.
    pub version: MetadataVersion,
    /// Every voter, with what it said to the active controller just now.
    pub controllers: Vec<ControllerVersions>,
}

/// What one voter supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerVersions {
    /// Raft id of the voter.
    pub controller_id: ControllerId,
    /// Metadata versions that it supports; `None` if it did not say, because it is down or older than the question.
    pub versions: Option<VersionRange>,
}

impl fmt::Display for Command {
    /// One line for logs: what, and for whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormCluster { cluster_id } => write!(f, "form cluster {cluster_id}"),
            Self::RegisterBroker(c) => {
                write!(f, "register broker {}, directory {}, boot {}", c.broker_id, c.directory_id, c.boot_counter)
            }
            Self::FenceBroker { broker_id, broker_epoch } => {
                write!(f, "fence broker {broker_id}, broker epoch {broker_epoch}")
            }
            Self::FenceBrokers { brokers } => {
                let ids: Vec<String> = brokers.iter().map(|one| one.broker_id.to_string()).collect();
                write!(f, "fence brokers {}", ids.join(","))
            }
            Self::UnfenceBroker { broker_id, broker_epoch } => {
                write!(f, "unfence broker {broker_id}, broker epoch {broker_epoch}")
            }
            Self::BeginControlledShutdown { broker_id, broker_epoch } => {
                write!(f, "begin shutdown of broker {broker_id}, broker epoch {broker_epoch}")
            }
            Self::UnregisterBroker { broker_id } => write!(f, "unregister broker {broker_id}"),
            Self::CreateTopic(c) => write!(f, "create topic {} {}", c.name, c.topic_id),
            Self::DeleteTopic { topic_id } => write!(f, "delete topic {topic_id}"),
            Self::AlterTopic(c) => write!(f, "alter topic {}", c.topic_id),
            Self::AlterPartition(c) => write!(f, "alter {} partitions of leader {}", c.changes.len(), c.broker_id),
            Self::AlterReplicas(c) => {
                write!(f, "alter the replicas of {} partitions", c.moves.len())?;
                match c.move_bytes_per_second {
                    Some(limit) => write!(f, ", {limit} bytes a second"),
                    None => Ok(()),
                }
            }
            Self::SetBrokerDrain { broker_id, draining: true } => write!(f, "drain broker {broker_id}"),
            Self::SetBrokerDrain { broker_id, draining: false } => write!(f, "drain broker {broker_id} no longer"),
            Self::ElectLeaders { partitions } if partitions.is_empty() => f.write_str("elect all preferred leaders"),
            Self::ElectLeaders { partitions } => write!(f, "elect {} preferred leaders", partitions.len()),
            Self::AllocateProducerIds { broker_id, .. } => write!(f, "allocate producer ids for broker {broker_id}"),
            Self::FinalizeVersion(c) => write!(f, "finalise metadata version {}", c.version),
            Self::RenewFolderToken { broker_id, broker_epoch, .. } => {
                write!(f, "renew the token of broker {broker_id}, broker epoch {broker_epoch}")
            }
            Self::DistrustReplicas(c) => write!(f, "distrust {} replicas of broker {}", c.replicas.len(), c.broker_id),
            Self::RecoverPartition(c) => {
                write!(f, "recover partition {} of topic {} with broker {}", c.partition, c.topic_id, c.broker_id)
            }
            Self::LoseDisk { broker_id, broker_epoch, .. } => {
                write!(f, "give up the disk of broker {broker_id}, broker epoch {broker_epoch}")
            }
            Self::BeginHistory => f.write_str("begin the hash of all changes"),
            Self::CheckHistory { index, hash } => write!(f, "check for hash {hash} at index {index}"),
        }
    }
}
