//! Records without a batch, and what became of each.

use bytes::Bytes;

use holdfast_proto::{
    batch::Header,
    detail::ErrorDetail,
    error::Outcome,
    ids::{Offset, PartitionIndex, TimestampMs, TopicId},
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

impl PlainRecord {
    /// What it takes up in memory, bytes, as far as it grows with what is in it.
    pub fn bytes(&self) -> usize {
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let header = |header: &Header| size_of::<Header>() + header.key.len() + size(&header.value);
        size_of::<Self>() + size(&self.key) + size(&self.value) + self.headers.iter().map(header).sum::<usize>()
    }
}

/// One call: records of one topic, each with a result of its own.
#[derive(Debug)]
pub struct PlainProduce {
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, if the client knows it: one of another id is not written to.
    pub topic_id: Option<TopicId>,
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

/// The one error of a call none of whose records was taken; `None` if one was. In doubt if one record is, and to be
/// repeated only if that helps all.
pub fn all_failed(results: &[PlainResult]) -> Option<ErrorDetail> {
    let errors: Vec<&ErrorDetail> = results.iter().map(|(_, result)| result.as_ref().err()).collect::<Option<_>>()?;
    let unknown = errors.iter().find(|detail| detail.outcome == Outcome::Unknown);
    let first = *unknown.or(errors.first())?;
    let message = match errors.len() {
        1 => first.message.clone(),
        count => format!("none of the {count} records was taken: {}", first.message),
    };
    let retriable = errors.iter().all(|detail| detail.retriable);
    Some(ErrorDetail { message, retriable, ..first.clone() })
}

#[cfg(test)]
mod tests {
    use holdfast_proto::error::ErrorCode;

    use super::*;

    fn failed(code: ErrorCode) -> PlainResult {
        (PartitionIndex(0), Err(code.into()))
    }

    #[test]
    fn a_call_fails_as_a_whole_only_if_nothing_was_taken() {
        let taken = (PartitionIndex(0), Ok(Offset(0)));
        assert_eq!(all_failed(&[failed(ErrorCode::NotEnoughReplicas), taken]), None);
        assert_eq!(all_failed(&[]), None);
        let one = all_failed(&[failed(ErrorCode::NotEnoughReplicas)]).expect("it failed");
        assert_eq!(one, ErrorCode::NotEnoughReplicas.into());
    }

    #[test]
    fn a_record_counts_with_all_that_is_in_it() {
        let bytes = |size: usize| Some(Bytes::from(vec![0; size]));
        let header = |size| Header { key: "k".repeat(size), value: bytes(size) };
        let record = PlainRecord {
            key: bytes(1_000),
            value: bytes(10_000),
            headers: vec![header(100_000), header(100_000)],
            timestamp: None,
        };
        assert!((411_000..412_000).contains(&record.bytes()), "{}", record.bytes());
    }

    #[test]
    fn doubt_about_one_record_is_doubt_about_the_call() {
        let results = [failed(ErrorCode::MessageTooLarge), failed(ErrorCode::RequestTimedOut)];
        let detail = all_failed(&results).expect("it failed");
        assert_eq!((detail.code, detail.outcome), (ErrorCode::RequestTimedOut, Outcome::Unknown));
        assert!(!detail.retriable, "the first record never fits");
        assert!(detail.message.contains("2 records"), "{detail}");
    }
}
