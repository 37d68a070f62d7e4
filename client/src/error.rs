//! Why a call to the cluster failed: connection, metadata and administration. Producer and consumer have enums of
//! their own, which wrap this one.

use std::time::Duration;

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::BrokerId,
};

/// Why a call failed. Says whether it may be repeated and whether it may have taken effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("the client's settings are wrong: {0}")]
    InvalidConfig(String),
    /// The cluster refused, or failed in a way that it named.
    #[error("{0}")]
    Rejected(Box<ErrorDetail>),
    /// No connection could be made: nothing was asked.
    #[error("no connection to {address}: {reason}")]
    NotConnected {
        /// Whom the call was for.
        address: String,
        /// What the connection said.
        reason: String,
    },
    /// No address of a broker gave an answer.
    #[error("no broker answered ({tried} asked; last: {last}); check the bootstrap list and that the cluster is up")]
    Unreachable {
        /// Number of addresses that were tried.
        tried: usize,
        /// What the last one gave.
        last: String,
    },
    /// No connection could be made to where a broker says that it is: nothing was asked.
    #[error(
        "broker {broker} cannot be reached at {address}, the address that it tells clients{}: {reason}; correct its \
         client_advertised_address, or speak to one address alone",
        learnt_from.as_ref().map_or_else(String::new, |from| format!(" (learnt from {from})"))
    )]
    Advertised {
        /// Id of the broker.
        broker: BrokerId,
        /// Its address for clients.
        address: String,
        /// The address that told it, which could be reached.
        learnt_from: Option<String>,
        /// What the connection said.
        reason: String,
    },
    /// A connection was made, but no node of Holdfast answered.
    #[error("the call to {address} failed: {detail}")]
    Broken {
        /// Whom the call went to.
        address: String,
        /// What can be said of it; its outcome tells whether it may have taken effect.
        detail: Box<ErrorDetail>,
    },
    /// The deadline of the call passed before its answer came.
    #[error("{what} took longer than {after:?}{}", if *in_doubt { "; whether it took effect is unknown" } else { "" })]
    DeadlineExceeded {
        /// What was waited for.
        what: String,
        /// Time that the call was given.
        after: Duration,
        /// True if a change may have happened.
        in_doubt: bool,
    },
    /// There is no such topic.
    #[error("unknown topic '{0}'; create it first, topics are not created by themselves")]
    UnknownTopic(String),
    /// There is no such partition.
    #[error("unknown partition '{partition}' of {topic}; it has {count}, from 0")]
    UnknownPartition {
        /// Name of the topic.
        topic: String,
        /// The partition asked for.
        partition: u32,
        /// Partitions that the topic has.
        count: usize,
    },
    /// An address led to a node of another cluster.
    #[error("{address} belongs to cluster {found}, but this client to cluster {expected}; check the addresses")]
    OtherCluster {
        /// Whom the call went to.
        address: String,
        /// The cluster that the client knows.
        expected: String,
        /// The cluster that answered.
        found: String,
    },
    /// A node answered with what makes no sense.
    #[error("{address} answered with a malformed message: {reason}")]
    Malformed {
        /// Whom the call went to.
        address: String,
        /// The rule that the answer breaks.
        reason: &'static str,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// The error's number and name, where it has one.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Rejected(detail) | Self::Broken { detail, .. } => Some(detail.code),
            Self::UnknownTopic(_) | Self::UnknownPartition { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::DeadlineExceeded { .. } => Some(ErrorCode::DeadlineExceeded),
            Self::OtherCluster { .. } => Some(ErrorCode::InconsistentClusterId),
            Self::Unreachable { .. } | Self::NotConnected { .. } | Self::Advertised { .. } => {
                Some(ErrorCode::BrokerNotAvailable)
            }
            Self::InvalidConfig(_) | Self::Malformed { .. } | Self::Closed => None,
        }
    }

    /// True if the same call may succeed later without any change.
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Rejected(detail) | Self::Broken { detail, .. } => detail.retriable,
            Self::Unreachable { .. }
            | Self::NotConnected { .. }
            | Self::Advertised { .. }
            | Self::DeadlineExceeded { .. } => true,
            Self::InvalidConfig(_)
            | Self::UnknownTopic(_)
            | Self::UnknownPartition { .. }
            | Self::OtherCluster { .. }
            | Self::Malformed { .. }
            | Self::Closed => false,
        }
    }

    /// True if a change that the call asked for may have happened all the same.
    pub const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Rejected(detail) | Self::Broken { detail, .. } => matches!(detail.outcome, Outcome::Unknown),
            Self::Malformed { .. } => true,
            Self::DeadlineExceeded { in_doubt, .. } => *in_doubt,
            Self::InvalidConfig(_)
            | Self::Unreachable { .. }
            | Self::NotConnected { .. }
            | Self::Advertised { .. }
            | Self::UnknownTopic(_)
            | Self::UnknownPartition { .. }
            | Self::OtherCluster { .. }
            | Self::Closed => false,
        }
    }
}
