//! What can be wrong with a record batch.

use super::Compression;
use crate::{error::ErrorCode, ids::TimestampMs};

/// A record batch that cannot be built, taken or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end before what they announce.
    #[error("the record batch is cut short: it needs {needed} bytes, {have} are there")]
    Truncated {
        /// Bytes that are needed, as far as known.
        needed: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// Not the layout that Holdfast speaks.
    #[error("the record batch has magic {0}; only magic 2 is supported, so use a client of Kafka 0.11 or later")]
    UnsupportedMagic(i8),
    /// A header field holds what it never may.
    #[error("the record batch's {field} is {value}, which is out of range")]
    FieldOutOfRange {
        /// Kafka's name of the field.
        field: &'static str,
        /// The value that the field holds.
        value: i64,
    },
    /// Compression bits without a meaning.
    #[error("the record batch has compression type {0}; known are 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd")]
    UnsupportedCompression(u8),
    /// Damaged on the way or on disk.
    #[error("the record batch's checksum is {computed:#010x}, but it says {stored:#010x}: its bytes are damaged")]
    CrcMismatch {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The batch, as it stands or as it would be built, is larger than allowed.
    #[error("the record batch has {size} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A produce request carries more than one batch, or garbage behind it.
    #[error("{0} bytes follow the record batch; one request carries exactly one batch")]
    TrailingBytes(usize),
    /// The batch is well formed, but a producer may not send it.
    #[error("a producer may not send {0}")]
    NotForProducers(&'static str),
    /// A batch without records.
    #[error("the record batch holds no records")]
    Empty,
    /// The record count does not fit the offsets that the batch takes up.
    #[error("the record batch says {record_count} records, but its last offset delta is {last_offset_delta}")]
    RecordCount {
        /// Records as the header says.
        record_count: u32,
        /// Last offset delta as the header says.
        last_offset_delta: u32,
    },
    /// A record inside breaks the format.
    #[error("record {index} of the batch is malformed: {reason}")]
    MalformedRecord {
        /// Index of the record in the batch, from 0.
        index: u32,
        /// The rule of the format that it breaks.
        reason: &'static str,
    },
    /// The records do not end where the batch ends.
    #[error("the batch's {0} records are followed by further bytes")]
    TrailingRecords(u32),
    /// The compressed records are damaged.
    #[error("the {compression} data of the record batch is malformed: {reason}")]
    Decompress {
        /// Codec that the batch's attributes name.
        compression: Compression,
        /// What the codec said.
        reason: String,
    },
    /// The records grow past the limit when decompressed.
    #[error("the record batch has more than {max} bytes when decompressed")]
    DecompressedTooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// The records have so many records and headers that a reader would have to build more than is allowed.
    #[error("the record batch has so many records or headers that reading it takes more than {max} bytes of memory")]
    TooManyParts {
        /// The limit in bytes.
        max: usize,
    },
    /// The header's largest time is not that of the records.
    #[error("the record batch's maxTimestamp is {}, but the latest of its records has {}", said.0, found.0)]
    MaxTimestamp {
        /// As the header says.
        said: TimestampMs,
        /// The latest of the records.
        found: TimestampMs,
    },
    /// The codec refused to compress.
    #[error("the records could not be compressed with {compression}: {reason}")]
    Compress {
        /// Codec that the builder was given.
        compression: Compression,
        /// What the codec said.
        reason: String,
    },
}

impl Error {
    /// The error that travels for it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            // Damage on the way: the same records may pass when sent again.
            Self::Truncated { .. }
            | Self::CrcMismatch { .. }
            | Self::Decompress { .. }
            | Self::MalformedRecord { .. }
            | Self::TrailingRecords(_) => ErrorCode::CorruptMessage,
            // The sender made it so: sending it again does not help.
            Self::UnsupportedMagic(_)
            | Self::FieldOutOfRange { .. }
            | Self::TrailingBytes(_)
            | Self::NotForProducers(_)
            | Self::Empty
            | Self::RecordCount { .. }
            | Self::MaxTimestamp { .. }
            | Self::Compress { .. } => ErrorCode::InvalidRecord,
            Self::UnsupportedCompression(_) => ErrorCode::UnsupportedCompressionType,
            Self::TooLarge { .. } | Self::DecompressedTooLarge { .. } | Self::TooManyParts { .. } => {
                ErrorCode::MessageTooLarge
            }
        }
    }
}
