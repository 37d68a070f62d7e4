//! Consumes a run's records while they are produced.

use tokio::sync::oneshot;

use holdfast_checker::{
    given_up::GivenUp,
    holes::Holes,
    ledger::sequence_of,
    readback::{read_to_end, step_over},
    sequences::{KEYS_HEADER, LAST_HEADER, Place, Sequences, Tally},
    statements::STATEMENT_HEADER,
};
use holdfast_client::{
    Client,
    consumer::{Consumer, MessageBatch, StartAt},
};
use holdfast_proto::batch::Header;

use crate::{
    exit::{Failure, Result},
    output::note,
};

/// Checks the records of audits as they come by, those with a key that begins with `prefix`.
#[derive(Debug)]
pub(super) struct Checker {
    prefix: Vec<u8>,
    sequences: Sequences,
    /// False once statements may be of records behind the ends that are read to.
    takes_statements: bool,
    /// Records that are none of the run's, or of no audit.
    pub(super) foreign: u64,
}

impl Checker {
    pub(super) fn new(prefix: &str) -> Self {
        let (prefix, sequences) = (prefix.as_bytes().to_vec(), Sequences::default());
        Self { prefix, sequences, takes_statements: true, foreign: 0 }
    }

    pub(super) fn take(&mut self, batch: &MessageBatch) {
        let partition = batch.partition.0;
        for record in &batch.records {
            let key = record.key.as_deref().unwrap_or_default();
            let place = Place { partition, offset: record.offset.0 };
            self.sequences.reached(partition, place.offset + 1);
            match sequence_of(&record.headers) {
                Some(number) if key.starts_with(&self.prefix) => self.take_ours(key, place, number, &record.headers),
                _ => self.foreign += 1,
            }
        }
    }

    fn take_ours(&mut self, key: &[u8], place: Place, number: u64, headers: &[Header]) {
        let value = |name| {
            let header = headers.iter().find(|header| header.key == name)?;
            Some(header.value.as_deref().unwrap_or_default())
        };
        self.sequences.read(key, place, number, value(LAST_HEADER).and_then(Holes::from_text));
        if let Some(indices) = value(KEYS_HEADER) {
            self.sequences.announce(key, indices);
        }
        if let Some(text) = value(STATEMENT_HEADER).filter(|_| self.takes_statements) {
            self.sequences.state(key, text);
        }
    }

    /// From now on statements are passed over: what they tell of may lie behind the ends that are read to.
    pub(super) fn settle(&mut self) {
        self.takes_statements = false;
    }

    /// A partition begins at this offset, and its topic's settings let retention move it.
    pub(super) fn begins(&mut self, partition: u32, log_start: u64) {
        self.sequences.begins(partition, log_start);
    }

    /// An operator gave this up of a partition.
    pub(super) fn gave_up(&mut self, partition: u32, given_up: GivenUp) {
        self.sequences.gave_up(partition, given_up);
    }

    /// Judges, of a topic with so many partitions.
    pub(super) fn finish(self, partitions: usize) -> Tally {
        self.sequences.finish(u32::try_from(partitions).unwrap_or(u32::MAX))
    }
}

/// A consumer that stands at the end of the topic.
pub(super) struct Live {
    consumer: Consumer,
    topic: String,
    checker: Checker,
}

impl Live {
    pub(super) async fn open(client: Client, topic: &str, prefix: &str) -> Result<Self> {
        let consumer = Consumer::builder(client).assign_topic(topic, StartAt::Latest).build().await?;
        Ok(Self { consumer, topic: topic.to_owned(), checker: Checker::new(prefix) })
    }

    /// Reads until `ended` is told (or dropped), then up to where the topic ends.
    pub(super) async fn follow(mut self, mut ended: oneshot::Receiver<()>) -> Result<Tally> {
        loop {
            let next = tokio::select! {
                biased;
                _ = &mut ended => break,
                next = self.consumer.next_batch() => next,
            };
            match next {
                Some(Ok(batch)) => self.checker.take(&batch),
                Some(Err(error)) => {
                    let gap = step_over(&mut self.consumer, &self.topic, error).await?;
                    note(format!("the consumer met a gap: {gap}"));
                }
                None => return Err(Failure::error(format!("no partition of {} can be read any more", self.topic))),
            }
        }
        let Self { consumer, topic, checker } = &mut self;
        read_to_end(consumer, topic, |batch| checker.take(&batch), |told| note(told.to_string())).await?;
        Ok(self.checker.finish(self.consumer.positions().count()))
    }
}
