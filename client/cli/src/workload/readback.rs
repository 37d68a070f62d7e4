//! Reads a topic from its beginning to its end, for an audit.

use std::time::{Duration, Instant};

use holdfast_client::{
    Client,
    consumer::{Consumer, Error, MessageBatch, StartAt},
};
use holdfast_proto::ids::{Offset, PartitionIndex};

use super::ledger::sequence_of;
use crate::{
    account::{Audit, Record, Verdict},
    exit::{Code, Failure, Result},
    output::grouped,
    progress::Progress,
};

/// How long nothing may come while something must.
const STALL: Duration = Duration::from_mins(1);
/// How long one batch is awaited before the positions are looked at again.
const LOOK: Duration = Duration::from_millis(500);

/// Reads all partitions of a topic up to where they end now. Gives the batches to `each`, and the gaps that it met, as
/// errors, to `gap`; those are stepped over.
pub async fn read_all(client: &Client, topic: &str, each: impl FnMut(MessageBatch), gap: impl FnMut(Error)) -> Result {
    let mut consumer = Consumer::builder(client.clone()).assign_topic(topic, StartAt::Earliest).build().await?;
    read_to_end(&mut consumer, topic, each, gap).await
}

/// As [`read_all`], from where the consumer is.
pub async fn read_to_end(
    consumer: &mut Consumer,
    topic: &str,
    mut each: impl FnMut(MessageBatch),
    mut gap: impl FnMut(Error),
) -> Result {
    let ends = consumer.end_offsets(STALL).await?;
    let partitions: Vec<_> = consumer.assignment().map(|(_, partition)| partition).collect();
    let ends: Vec<(PartitionIndex, Offset)> = partitions.into_iter().zip(ends).collect();
    let mut last_progress = Instant::now();
    while !at_end(consumer, topic, &ends)? {
        match tokio::time::timeout(LOOK, consumer.next_batch()).await {
            Ok(Some(Ok(batch))) => each(batch),
            Ok(Some(Err(error))) => gap(step_over(consumer, topic, error).await?),
            Ok(None) => return Err(Failure::error(format!("no partition of {topic} can be read any more"))),
            Err(_nothing_came) if last_progress.elapsed() < STALL => continue,
            Err(_nothing_came) => {
                let message = format!("nothing was read from {topic} for {} s before its end", STALL.as_secs());
                return Err(Failure::new(Code::InDoubt, message));
            }
        }
        last_progress = Instant::now();
    }
    Ok(())
}

/// Goes on behind a gap, and gives it back. Any other error ends the reading.
pub async fn step_over(consumer: &mut Consumer, topic: &str, error: Error) -> Result<Error> {
    let Error::DataLoss { partition, found, .. } = &error else { return Err(error.into()) };
    consumer.seek(topic, *partition, StartAt::Offset(*found)).await?;
    Ok(error)
}

fn at_end(consumer: &Consumer, topic: &str, ends: &[(PartitionIndex, Offset)]) -> Result<bool> {
    for (partition, end) in ends {
        if consumer.position(topic, *partition)? < *end {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the topic and judges it against the account.
pub async fn audit(client: &Client, topic: &str, audit: Audit, progress: &Progress) -> Result<Verdict> {
    audit_keys(client, topic, audit, |_| true, progress).await
}

/// As [`audit`], of a topic that others write to as well: of the records whose keys `is_ours`.
pub async fn audit_keys(
    client: &Client,
    topic: &str,
    mut audit: Audit,
    is_ours: impl Fn(&[u8]) -> bool,
    progress: &Progress,
) -> Result<Verdict> {
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
        progress.set(read, || format!("{} read", grouped(read)));
    };
    read_all(client, topic, each, |gap| progress.tell(&format!("gap: {gap}"))).await?;
    Ok(audit.finish())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::DataLoss { .. } | Error::Corrupt { .. } | Error::Diverged { .. } => Code::Loss,
            Error::Client(error) => return Self::from(error.clone()),
            Error::Rejected { detail, .. } if detail.code == holdfast_proto::error::ErrorCode::LogDamaged => Code::Loss,
            _ => Code::Error,
        };
        Self::new(code, error.to_string())
    }
}
