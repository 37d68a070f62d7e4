//! Why a record was not accepted, or what became of it instead of a delivery.

use std::{fmt, time::Duration};

use holdfast_proto::{batch, error::ErrorCode};

use crate::error::Error as ClientError;

/// Whose limit on the size of a record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    /// The producer's own setting `max_record_bytes`.
    MaxRecordBytes,
    /// The producer's `buffer_memory_bytes`: the record has to be held until it is delivered.
    BufferMemory,
    /// The setting `max.message.bytes` of this topic.
    Topic(String),
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxRecordBytes => f.write_str("the producer's max_record_bytes"),
            Self::BufferMemory => f.write_str("the producer's buffer_memory_bytes"),
            Self::Topic(name) => write!(f, "max.message.bytes of topic '{name}'"),
        }
    }
}

/// A record that was not delivered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The record is certainly not in the log, and never will be. It may be sent again.
    #[error("not appended: {} [{code}]", code.sentence())]
    NotAppended {
        /// What the last attempt met, or why there was none.
        code: ErrorCode,
    },
    /// The record may be in the log, now or later. Sending it again may make a duplicate.
    #[error("in doubt: {} [{code}]", code.sentence())]
    InDoubt {
        /// What the last attempt met.
        code: ErrorCode,
    },
    /// No room in the buffer for `max_block`. The record was not accepted.
    #[error(
        "no room for {needed} bytes in the producer's buffer of {capacity} bytes after {waited:?}; the brokers are slower than the caller"
    )]
    BufferFull {
        /// Bytes that were wanted.
        needed: usize,
        /// Size of the buffer in bytes.
        capacity: usize,
        /// How long was waited.
        waited: Duration,
    },
    /// The record is larger than the producer or its topic takes. It was not accepted.
    #[error("the record takes up {size} bytes in its batch; {limit} allows {max}")]
    RecordTooLarge {
        /// Bytes that it takes up, with all that the format adds.
        size: usize,
        /// The limit in bytes.
        max: usize,
        /// Whose limit it is.
        limit: SizeLimit,
    },
    /// The record breaks a rule of the format. It was not accepted.
    #[error("the record is invalid: {0}")]
    InvalidRecord(#[from] batch::Error),
    /// The topic has no such partition. The record was not accepted.
    #[error("unknown partition '{partition}' of {topic}; it has {count}, from 0")]
    UnknownPartition {
        /// Name of the topic.
        topic: String,
        /// The partition asked for.
        partition: u32,
        /// Partitions that the topic has.
        count: usize,
    },
    /// The topic was deleted, or deleted and created again: ask for a new handle. The record was not accepted.
    #[error("topic '{0}' was deleted or created again since its handle was made; ask for a new handle")]
    TopicGone(String),
    /// The producer is closed. The record was not accepted.
    #[error("the producer is closed")]
    Closed,
    /// A call that the producer needs failed. The record was not accepted.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Error {
    /// The error's number and name, where it has one.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NotAppended { code } | Self::InDoubt { code } => Some(*code),
            Self::RecordTooLarge { .. } => Some(ErrorCode::MessageTooLarge),
            Self::InvalidRecord(error) => Some(error.code()),
            Self::UnknownPartition { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::TopicGone(_) => Some(ErrorCode::UnknownTopicId),
            Self::Client(error) => error.code(),
            Self::BufferFull { .. } | Self::Closed => None,
        }
    }

    /// True if sending the same record again may succeed without any change. See [`Self::is_in_doubt`] first.
    pub const fn is_retriable(&self) -> bool {
        match self {
            Self::NotAppended { code } | Self::InDoubt { code } => code.is_retriable(),
            Self::BufferFull { .. } => true,
            Self::Client(error) => error.is_retriable(),
            Self::RecordTooLarge { .. }
            | Self::InvalidRecord(_)
            | Self::UnknownPartition { .. }
            | Self::TopicGone(_)
            | Self::Closed => false,
        }
    }

    /// True if the record may be in the log.
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. })
    }
}
