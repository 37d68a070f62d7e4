//! What a command came to: the answer, or the refusal, and the records.

use serde::{Deserialize, Serialize};

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, MetadataVersion, ProducerId, TopicId},
};

use crate::{
    record::{PartitionState, Record},
    trust::{LostDisk, PartitionRecovery},
};

/// Answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Answers [`crate::Command::FormCluster`]: the cluster has this id, now or since before.
    ClusterFormed,
    /// Answers [`crate::Command::RegisterBroker`]; the broker is fenced, unless it only repeated a registration.
    BrokerRegistered {
        /// Epoch of the registration.
        broker_epoch: BrokerEpoch,
    },
    /// Answers [`crate::Command::FenceBroker`] and [`crate::Command::FenceBrokers`]: the brokers are fenced, now or since
    /// before.
    BrokerFenced,
    /// Answers [`crate::Command::LoseDisk`]: nobody waits for that disk, now or since before.
    DiskLost {
        /// What came of it. Kept unless nothing did and it was given up before.
        lost: LostDisk,
    },
    /// Answers [`crate::Command::UnfenceBroker`]: the broker may lead, now or since before.
    BrokerUnfenced,
    /// Answers [`crate::Command::BeginControlledShutdown`], which is repeated until no leader remains.
    ControlledShutdown {
        /// Partitions that the broker still leads, because no other in-sync replica stays.
        remaining_leaders: u32,
    },
    /// Answers [`crate::Command::UnregisterBroker`]: nothing is known of the broker any more.
    BrokerUnregistered,
    /// Answers [`crate::Command::CreateTopic`], with the present state if the same creation is repeated.
    TopicCreated {
        /// Id that the command gave the topic.
        topic_id: TopicId,
        /// The partitions by index.
        partitions: Vec<PartitionState>,
        /// What is allowed but risky, a sentence each.
        warnings: Vec<String>,
    },
    /// Answers [`crate::Command::DeleteTopic`]; brokers delete the topic's data later, when they learn of it.
    TopicDeleted,
    /// Answers [`crate::Command::AlterTopic`], also if it changed nothing.
    TopicAltered {
        /// What is allowed but risky, a sentence each.
        warnings: Vec<String>,
    },
    /// Answers [`crate::Command::AlterPartition`], each change for itself.
    PartitionsAltered {
        /// One result a change, in their order. A state is told only for a change that was accepted: a leader has to
        /// learn anything else from the stream of records, together with the settings that belong to it. Two refusals
        /// do not mean that the proposed ISR is not in force, so that the proposer has to go on counting it until it
        /// learns more: NEW_LEADER_ELECTED (accepted, and the leadership moved with it) and INVALID_UPDATE_VERSION
        /// (an earlier copy of the proposal may have been accepted).
        results: Vec<Result<PartitionState, Rejection>>,
    },
    /// Answers [`crate::Command::AlterReplicas`], each move for itself.
    ReplicasAltered {
        /// One result a move, in their order. A move that was started takes its time.
        results: Vec<Result<(), Rejection>>,
    },
    /// Answers [`crate::Command::SetBrokerDrain`]: the mark is as wanted, the broker's replicas are still where they
    /// were.
    BrokerDrainSet,
    /// Answers [`crate::Command::ElectLeaders`], also if no leader changed.
    LeadersElected {
        /// Number of partitions whose leader changed.
        elected: u32,
    },
    /// Answers [`crate::Command::FinalizeVersion`]: this version is in use, now or since before.
    VersionFinalized {
        /// The version before the command.
        before: MetadataVersion,
    },
    /// Answers [`crate::Command::RenewFolderToken`]: this token is to be shown, now or since before.
    FolderTokenRenewed,
    /// Answers [`crate::Command::DistrustReplicas`], also if nothing changed.
    ReplicasDistrusted,
    /// Answers [`crate::Command::RecoverPartition`]: the partition has a leader.
    PartitionRecovered {
        /// What was given up, as it is kept.
        recovery: PartitionRecovery,
    },
    /// Answers [`crate::Command::BeginHistory`]: the hash covers what follows.
    HistoryBegun,
    /// Answers [`crate::Command::CheckHistory`]: each controller compares for itself.
    HistoryChecked,
    /// Answers [`crate::Command::AllocateProducerIds`] with a block that nobody else has.
    ProducerIds {
        /// First id of the block.
        first_producer_id: ProducerId,
        /// Number of ids in it.
        count: u32,
    },
}

/// Why a command, or one change in it, was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// The error that travels.
    #[serde(with = "code_as_number")]
    pub code: ErrorCode,
    /// For people: what is wrong, and with which values.
    pub message: String,
}

impl Rejection {
    /// `message` is for people and is sent to the caller; `code` decides what the caller does.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The machine itself is wrong: it would have broken one of its own rules, and did nothing instead.
    pub(crate) fn fault(message: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::UnknownServerError, format!("a fault of the controllers, report it: {message}"))
    }

    /// True if the command was refused because of a fault of the machine. To be told loudly.
    pub fn is_fault(&self) -> bool {
        self.code == ErrorCode::UnknownServerError
    }
}

impl From<Rejection> for ErrorDetail {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.code, rejection.message)
    }
}

/// What a handler of a command decides: the records and the answer, or why not.
pub(crate) type Decision = Result<(Vec<Record>, Response), Rejection>;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The changes, applied together; none if the command was refused or changed nothing.
    pub records: Vec<Record>,
    /// What the proposer is told.
    pub result: Result<Response, Rejection>,
}

impl Outcome {
    /// The first fault of the machine in it: of the whole command, or of one of the changes that are decided alone.
    pub fn fault(&self) -> Option<&Rejection> {
        match &self.result {
            Err(rejection) => Some(rejection).filter(|rejection| rejection.is_fault()),
            Ok(Response::PartitionsAltered { results }) => first_fault(results),
            Ok(Response::ReplicasAltered { results }) => first_fault(results),
            Ok(_) => None,
        }
    }
}

fn first_fault<T>(results: &[Result<T, Rejection>]) -> Option<&Rejection> {
    results.iter().filter_map(|result| result.as_ref().err()).find(|rejection| rejection.is_fault())
}

/// An error code is stored as its number.
mod code_as_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use holdfast_proto::error::ErrorCode;

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde gives the shape
    pub(super) fn serialize<S: Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
        code.number().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ErrorCode, D::Error> {
        let number = i32::deserialize(deserializer)?;
        ErrorCode::from_number(number).ok_or_else(|| D::Error::custom(format!("no error has the number {number}")))
    }
}
