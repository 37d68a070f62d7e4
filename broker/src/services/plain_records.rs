//! Records without a batch, and what became of each.

use bytes::Bytes;

use holdfast_proto::{
    batch::Header,
    detail::ErrorDetail,
    ids::{Offset, PartitionIndex, TimestampMs},
};
use holdfast_replication::Acks;

/// A record as key, value and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRecord {
    /// Key, which chooses the partition; `None`: the broker chooses.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in the order given; a name may stand twice.
    pub headers: Vec<Header>,
    /// Its time; `None`: the broker's clock.
    pub timestamp: Option<TimestampMs>,
}

/// One call: records of one topic, each with a result of its own.
#[derive(Clone, Debug)]
pub struct PlainProduce {
    /// Name of the topic.
    pub topic: String,
    /// The partition; `None`: by each record's key, or any for records without.
    pub partition: Option<PartitionIndex>,
    /// The records, in order.
    pub records: Vec<PlainRecord>,
    /// When to answer; not `None`.
    pub acks: Acks,
    /// How long the answer may wait, ms; 0: the broker's default.
    pub timeout_ms: u32,
    /// True if another broker sent it on: it goes no further.
    pub forwarded: bool,
}

/// Where one record went, or why it did not.
pub type PlainResult = (PartitionIndex, Result<Offset, ErrorDetail>);
