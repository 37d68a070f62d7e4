//! Consumes a run's records while they are produced.

use tokio::sync::oneshot;

use holdfast_checker::{
    ledger::sequence_of,
    readback::{read_to_end, step_over},
    sequences::{Holes, KEYS_HEADER, LAST_HEADER, Sequences, Tally},
};
use holdfast_client::{
    Client,
    consumer::{Consumer, MessageBatch, StartAt},
};

use crate::{
    exit::{Failure, Result},
    output::note,
};

/// Checks the records of audits as they come by, those with a key that begins with `prefix`.
#[derive(Debug)]
pub(super) struct Checker {
    prefix: Vec<u8>,
    sequences: Sequences,
    /// Records that are none of the run's, or of no audit.
    pub(super) foreign: u64,
}

impl Checker {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().to_vec(), sequences: Sequences::default(), foreign: 0 }
    }

    pub(super) fn take(&mut self, batch: &MessageBatch) {
        for record in &batch.records {
            let key = record.key.as_deref().unwrap_or_default();
            match sequence_of(&record.headers) {
                Some(number) if key.starts_with(&self.prefix) => {
                    let last = record.headers.iter().find(|header| header.key == LAST_HEADER);
                    let last = last.and_then(|last| Holes::from_text(last.value.as_deref().unwrap_or_default()));
                    self.sequences.read(key, number, last);
                    if let Some(keys) = record.headers.iter().find(|header| header.key == KEYS_HEADER) {
                        self.sequences.announce(key, keys.value.as_deref().unwrap_or_default());
                    }
                }
                _ => self.foreign += 1,
            }
        }
    }

    pub(super) fn finish(self) -> Tally {
        self.sequences.finish()
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
        Ok(self.checker.finish())
    }
}
