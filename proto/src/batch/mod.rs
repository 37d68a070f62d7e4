//! Kafka's record batch v2, byte for byte: what producers send, the log stores and consumers get.
//!
//! Place: clients build batches ([`BatchBuilder`]) and read them ([`decode`]); brokers look at headers alone
//! ([`BatchHeader`], [`validate_produce`], [`split`]) and pass over the records of a produced batch once
//! ([`check_records`]), building none.
//!
//! ```text
//!  0         8      12           16    17   21          23          27        35       43       51      53       57     61
//!  | base    | batch | leader    | ma- | CRC | attri-   | last      | base    | max    | pro-   | pro-  | base  | re-  | records
//!  | offset  | length| epoch     | gic |     | butes    | offset    | time-   | time-  | ducer  | ducer | seq.  | cord |
//!  | i64     | i32   | i32       | 2   | u32 | i16      | delta i32 | stamp   | stamp  | id     | epoch |       | count|
//!  |<- outside the CRC: set by the leader ->|     |<- under the CRC: never changed after the producer ------------------->|
//! ```
//!
//! Invariants:
//! 1. All numbers are big-endian; `batch length` counts what follows it, so the whole batch is 12 bytes longer.
//! 2. The CRC-32C covers everything from the attributes to the end. Base offset and leader epoch lie outside, so the
//!    leader sets them without touching the producer's checksum.
//! 3. No function of this module panics on bytes from outside; memory is bounded by the input's size and, where it
//!    decompresses, by [`DecodeLimits`].
//!
//! Failure: every problem is an [`Error`]; [`Error::code`] tells the number that travels.

mod builder;
mod codec;
mod compression;
mod decode;
mod error;
mod frame;
mod header;
mod record;
mod record_time;
mod stamp;
mod varint;
mod walk;

pub use builder::BatchBuilder;
pub use compression::{Compression, UnknownCompressionName};
pub use decode::{DecodeLimits, Records, decode};
pub use error::Error;
pub use frame::{Split, set_base_offset_and_epoch, split, validate_produce, verify_crc};
pub use header::{Attributes, BatchHeader, TimestampType};
pub use record::{Header, Record, RecordRef};
pub use stamp::{ProducerStamp, restamp};
pub use walk::check_records;
