//! Reads a topic from its beginning to its end, for an audit.

use std::{
    cell::RefCell,
    fmt,
    time::{Duration, Instant},
};

use holdfast_client::{
    Client,
    consumer::{Consumer, Error as ConsumeError, MessageBatch, StartAt},
};
use holdfast_proto::ids::{Offset, PartitionIndex};

use crate::{
    account::{Audit, Record, Verdict},
    ledger::sequence_of,
    waiting::{self, Open, Patience, STALL, Waiting},
};

/// How long one batch is waited for before the positions are looked at again.
const LOOK: Duration = Duration::from_millis(500);

/// Why a topic could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The consumer's error, other than a gap.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// The consumer gives no partition any more.
    #[error("no partition of {topic} can be read any more")]
    Ended {
        /// Name of the topic.
        topic: String,
    },
    /// Nothing came for long, although more must be there: whether it is lost is not known.
    #[error("nothing came for {} s from {partitions}", STALL.as_secs())]
    Stalled {
        /// The partitions that are not read to their ends, by name.
        partitions: String,
    },
}

/// What is told of a reading that goes on.
#[derive(Debug)]
pub enum Note {
    /// A gap was met and stepped over.
    Gap(ConsumeError),
    /// These partitions, by name, give nothing for some seconds now.
    Waiting(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(error) => write!(f, "gap: {error}"),
            Self::Waiting(partitions) => write!(f, "waiting for {partitions}"),
        }
    }
}

/// Reads all partitions of a topic up to where they end now. Gives the batches to `each`, and to `note` the gaps that it
/// steps over and the partitions that it waits for.
pub async fn read_all(
    client: &Client,
    topic: &str,
    each: impl FnMut(MessageBatch),
    note: impl FnMut(Note),
) -> Result<(), Error> {
    let mut consumer = Consumer::builder(client.clone()).assign_topic(topic, StartAt::Earliest).build().await?;
    read_to_end(&mut consumer, topic, each, note).await
}

/// As [`read_all`], from where the consumer is.
pub async fn read_to_end(
    consumer: &mut Consumer,
    topic: &str,
    mut each: impl FnMut(MessageBatch),
    mut note: impl FnMut(Note),
) -> Result<(), Error> {
    let ends = consumer.end_offsets(STALL).await?;
    let (begun, mut waiting) = (Instant::now(), Waiting::default());
    while open(consumer, &ends).next().is_some() {
        match waiting.look(begun.elapsed(), || waiting::left(open(consumer, &ends))) {
            Patience::GoOn => {}
            Patience::Tell => note(Note::Waiting(waiting::named(topic, open(consumer, &ends)))),
            Patience::GiveUp => {
                return Err(Error::Stalled { partitions: waiting::named(topic, open(consumer, &ends)) });
            }
        }
        match tokio::time::timeout(LOOK, consumer.next_batch()).await {
            Ok(Some(Ok(batch))) => each(batch),
            Ok(Some(Err(error))) => note(Note::Gap(step_over(consumer, topic, error).await?)),
            Ok(None) => return Err(Error::Ended { topic: topic.to_owned() }),
            Err(_nothing_came) => {}
        }
    }
    Ok(())
}

/// The partitions that are not read to these ends, which stand in the order of the assignment.
fn open<'a>(consumer: &'a Consumer, ends: &'a [Offset]) -> impl Iterator<Item = Open> + 'a {
    let all = consumer.positions().zip(ends).map(|((partition, next), end)| (partition, next, *end));
    all.filter(|(_, next, end)| next < end)
}

/// Goes on behind a gap, or where the partition ends now if its end is gone, and gives the error back. Any other error ends the reading.
pub async fn step_over(consumer: &mut Consumer, topic: &str, error: ConsumeError) -> Result<ConsumeError, Error> {
    let Some((partition, to)) = behind(&error) else { return Err(error.into()) };
    consumer.seek(topic, partition, StartAt::Offset(to)).await?;
    Ok(error)
}

/// Where to go on behind records that are lost, in the middle of a partition or at its end; `None` if the error is of
/// another kind.
fn behind(error: &ConsumeError) -> Option<(PartitionIndex, Offset)> {
    match error {
        ConsumeError::DataLoss { partition, found, .. } => Some((*partition, *found)),
        // Read before, and gone: the account or the sequences say what it was.
        ConsumeError::OffsetOutOfRange { partition, offset, high_watermark, .. } if high_watermark < offset => {
            Some((*partition, *high_watermark))
        }
        _ => None,
    }
}

/// What an audit tells while it reads.
#[derive(Debug)]
pub enum Told<'a> {
    /// So many records were read so far.
    Read(u64),
    /// A gap, or partitions that are waited for.
    Note(&'a Note),
}

/// Reads the topic and judges it against the account.
pub async fn audit(client: &Client, topic: &str, audit: Audit, told: impl FnMut(Told<'_>)) -> Result<Verdict, Error> {
    audit_keys(client, topic, audit, |_| true, told).await
}

/// As [`audit`], of a topic that others write to as well: of the records whose keys `is_ours`.
pub async fn audit_keys(
    client: &Client,
    topic: &str,
    mut audit: Audit,
    is_ours: impl Fn(&[u8]) -> bool,
    told: impl FnMut(Told<'_>),
) -> Result<Verdict, Error> {
    let told = RefCell::new(told);
    let (mut read, mut unmarked) = (0_u64, 0_u64);
    let each = |batch: MessageBatch| {
        for record in &batch.records {
            if !is_ours(record.key.as_deref().unwrap_or_default()) {
                continue;
            }
            // A record without a sequence is none of ours: it gets an identity that nobody sent.
            let sequence = sequence_of(&record.headers).unwrap_or_else(|| {
                unmarked += 1;
                u64::MAX - unmarked
            });
            let key = record.key.as_deref().unwrap_or_default();
            let value = record.value.as_deref().unwrap_or_default();
            audit.read(batch.partition.0, record.offset.0, Record::new(key, sequence, value));
            read += 1;
        }
        told.borrow_mut()(Told::Read(read));
    };
    read_all(client, topic, each, |note| told.borrow_mut()(Told::Note(&note))).await?;
    Ok(audit.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_end_is_a_gap_and_what_retention_deleted_is_none() {
        let out_of_range = |offset, log_start, high_watermark| ConsumeError::OffsetOutOfRange {
            topic: "t".to_owned(),
            partition: PartitionIndex(3),
            offset: Offset(offset),
            log_start: Some(Offset(log_start)),
            high_watermark: Offset(high_watermark),
        };
        assert_eq!(behind(&out_of_range(60, 0, 40)), Some((PartitionIndex(3), Offset(40))));
        assert_eq!(behind(&out_of_range(5, 20, 40)), None);
        assert_eq!(behind(&ConsumeError::TopicGone("t".to_owned())), None);
    }
}
