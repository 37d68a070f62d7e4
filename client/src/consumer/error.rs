//! Why a partition could not be read on.

use holdfast_proto::{
    batch,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex},
};

use crate::error::Error as ClientError;

/// A partition that stands still until it is sought to another offset, or a call that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The partition does not hold the offset: it was deleted by retention, or does not exist yet. The position is not
    /// reset by itself, for that would skip records silently.
    #[error(
        "{topic}-{partition} does not hold offset {offset} (it holds {}to below {high_watermark}); seek to where to go on",
        log_start.map_or_else(|| "a later one ".to_owned(), |start| format!("{start} "))
    )]
    OffsetOutOfRange {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// The offset that was asked for.
        offset: Offset,
        /// Oldest offset that it holds, if known.
        log_start: Option<Offset>,
        /// End of what consumers may read, as far as known.
        high_watermark: Offset,
    },
    /// Offsets are missing that the partition must hold.
    #[error("{topic}-{partition} has no records from offset {expected} to below {found}: data was lost, or compacted")]
    DataLoss {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// The offset that comes next.
        expected: Offset,
        /// The offset that came instead.
        found: Offset,
    },
    /// The bytes are damaged, also when fetched again.
    #[error(
        "{topic}-{partition} is damaged at offset {offset}: {reason}{}",
        next_offset.map_or_else(String::new, |next| format!("; what follows the damaged batch begins at offset {next}"))
    )]
    Corrupt {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// Offset from which on nothing can be read.
        offset: Offset,
        /// Offset behind the damaged batch, to go on at; `None` if its header is damaged too.
        next_offset: Option<Offset>,
        /// Which check of the batch failed, and how.
        reason: batch::Error,
    },
    /// A later offset has an older leader epoch than an earlier one: the log that was read before is not the log that is
    /// there now (KIP-320).
    #[error("{topic}-{partition} was rewritten: offset {offset} has leader epoch {found}, after one of epoch {known}")]
    Diverged {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// The offset that came next, at which the log that is there now does not fit.
        offset: Offset,
        /// Leader epoch of the record before it.
        known: LeaderEpoch,
        /// Leader epoch of what came.
        found: LeaderEpoch,
    },
    /// The topic was deleted, or deleted and created again.
    #[error("topic '{0}' was deleted or created again")]
    TopicGone(String),
    /// The broker refuses to be read from, or its answer cannot be taken, for a reason that no repetition cures.
    #[error("{topic}-{partition} cannot be read at offset {offset}: {detail}")]
    Rejected {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// The offset that was asked for.
        offset: Offset,
        /// What the broker said, or what is wrong with its answer.
        detail: Box<ErrorDetail>,
    },
    /// The consumer does not read that partition.
    #[error("{topic}-{partition} is not assigned to this consumer")]
    NotAssigned {
        /// Name of the topic, as the caller gave it.
        topic: String,
        /// The partition, as the caller gave it.
        partition: PartitionIndex,
    },
    /// It cannot be found out where to begin in the partition, and no repetition cures that.
    #[error("{topic}-{partition} has no start: {source}")]
    NoStart {
        /// Name of the topic.
        topic: String,
        /// The partition that stands still.
        partition: PartitionIndex,
        /// What the look-up of its offset met.
        source: Box<ClientError>,
    },
    /// A call that the consumer needs failed.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Error {
    pub(super) fn no_start(topic: &str, partition: PartitionIndex, source: ClientError) -> Self {
        Self::NoStart { topic: topic.to_owned(), partition, source: Box::new(source) }
    }

    /// The partition that stands still because of it; the others go on. `None` where it is about a topic or the consumer.
    pub const fn partition(&self) -> Option<PartitionIndex> {
        match self {
            Self::OffsetOutOfRange { partition, .. }
            | Self::DataLoss { partition, .. }
            | Self::Corrupt { partition, .. }
            | Self::Diverged { partition, .. }
            | Self::Rejected { partition, .. }
            | Self::NoStart { partition, .. } => Some(*partition),
            Self::TopicGone(_) | Self::NotAssigned { .. } | Self::Client(_) => None,
        }
    }

    /// The error's number and name, where it has one.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::OffsetOutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            Self::Corrupt { .. } => Some(ErrorCode::CorruptMessage),
            Self::TopicGone(_) => Some(ErrorCode::UnknownTopicId),
            Self::Rejected { detail, .. } => Some(detail.code),
            Self::NoStart { source, .. } => source.code(),
            Self::Client(error) => error.code(),
            Self::DataLoss { .. } | Self::Diverged { .. } | Self::NotAssigned { .. } => None,
        }
    }

    /// True if the same may succeed later without any change.
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::Rejected { detail, .. } => detail.retriable,
            Self::Client(error) => error.is_retriable(),
            Self::OffsetOutOfRange { .. }
            | Self::DataLoss { .. }
            | Self::Corrupt { .. }
            | Self::Diverged { .. }
            | Self::TopicGone(_)
            | Self::NoStart { .. }
            | Self::NotAssigned { .. } => false,
        }
    }

    /// Always false: reading changes nothing.
    pub const fn is_in_doubt(&self) -> bool {
        false
    }
}
