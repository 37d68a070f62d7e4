//! A reader that reads along while faults happen. Whatever it was given once must stand there for good: at the end what it
//! read is compared with what a fresh reader finds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinHandle;

use holdfast_checker::{account::Record, ledger::sequence_of};
use holdfast_client::{Client, Consumer, MessageBatch, StartAt};
use holdfast_eventually::until;
use holdfast_proto::batch;

use super::fixture::TOPIC;

/// What stands at each partition and offset, by the mark of the record.
#[derive(Debug, Default)]
pub struct Content(HashMap<(u32, u64), u64>);

impl Content {
    /// Takes a batch. `Err` names an offset at which something else stood before.
    pub fn take(&mut self, batch: &MessageBatch) -> Result<(), String> {
        for record in &batch.records {
            let place = (batch.partition.0, record.offset.0);
            let identity = identity(record);
            if self.0.insert(place, identity.mark).is_some_and(|before| before != identity.mark) {
                return Err(format!("two records were read at offset {} of partition {}", place.1, place.0));
            }
        }
        Ok(())
    }

    /// The first place at which the other one lacks what stands here, or holds something else.
    fn differs_from(&self, other: &Self) -> Option<String> {
        let differing = self.0.iter().filter(|(place, mark)| other.0.get(place) != Some(mark)).map(|(place, _)| place);
        let (partition, offset) = differing.min()?;
        Some(format!("offset {offset} of partition {partition} is not what it was"))
    }
}

/// The identity of a record that was read.
pub fn identity(record: &batch::Record) -> Record {
    let key = record.key.as_deref().unwrap_or_default();
    let sequence = sequence_of(&record.headers).unwrap_or(u64::MAX);
    Record::new(key, sequence, record.value.as_deref().unwrap_or_default())
}

/// The reader; ends when this is dropped.
pub struct Onlooker {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    content: Content,
    /// What it met first that no reader may meet.
    wrong: Option<String>,
}

impl Onlooker {
    /// Reads every partition of the topic from its beginning, and goes on.
    pub async fn start(client: Client) -> Self {
        let consumer = Consumer::builder(client).assign_topic(TOPIC, StartAt::Earliest).build().await;
        let (seen, consumer) = (Arc::<Mutex<Seen>>::default(), consumer.expect("the topic can be read"));
        Self { task: tokio::spawn(read(consumer, Arc::clone(&seen))), seen }
    }

    /// Waits until it has read as much as stands there now, and compares.
    pub async fn agrees(&self, content: &Content) -> Result<(), String> {
        until("who reads along has read everything", async || {
            let seen = self.seen();
            seen.wrong.is_some() || seen.content.0.len() >= content.0.len()
        })
        .await;
        let seen = self.seen();
        let differing = || seen.content.differs_from(content).or_else(|| content.differs_from(&seen.content));
        match seen.wrong.clone().or_else(differing) {
            Some(wrong) => Err(format!("who read along: {wrong}")),
            None => Ok(()),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads on until something is wrong.
async fn read(mut consumer: Consumer, seen: Arc<Mutex<Seen>>) {
    loop {
        let next = consumer.next_batch().await;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match next {
            Some(Ok(batch)) => seen.content.take(&batch),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("no partition can be read any more".to_owned()),
        };
        if let Err(wrong) = taken {
            seen.wrong = Some(wrong);
            return;
        }
    }
}
