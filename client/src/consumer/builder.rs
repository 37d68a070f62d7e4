//! How a consumer is made.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use holdfast_proto::{batch::DecodeLimits, ids::PartitionIndex};

use super::{
    Consumer, Error,
    buffers::Rules,
    partition::{Begin, Gaps, PartitionFetch},
    router,
    shared::Shared,
    start::{Ends, PATIENCE, Place, StartAt, Unresolved, resolve_later, resolve_with_ends},
};
use crate::{
    Client,
    deadline::{Deadline, bounded},
    error::Error as ClientError,
    producer::BATCH_BYTES_MAX,
    wall_clock::now_ms,
};

/// Most bytes that an answer has beside its batches.
const ENVELOPE_BYTES: usize = 1 << 20;

/// Settings of a consumer. Times of more than a year, as `Duration::MAX`, mean a year: no limit.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConsumerBuilder {
    client: Client,
    partitions: Vec<(String, PartitionIndex, StartAt)>,
    topics: Vec<(String, StartAt)>,
    rules: Rules,
    start_timeout: Duration,
}

impl Consumer {
    /// Settings of a new consumer.
    pub fn builder(client: Client) -> ConsumerBuilder {
        ConsumerBuilder::new(client)
    }
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        let rules = Rules {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            fetch_max_bytes: 8 << 20,
            partition_max_bytes: 1 << 20,
            prefetch_bytes: 32 << 20,
            request_timeout: Duration::from_secs(30),
            gaps: Gaps::AreErrors,
            limits: DecodeLimits::default(),
        };
        Self { client, partitions: Vec::new(), topics: Vec::new(), rules, start_timeout: Duration::from_secs(30) }
    }

    /// Reads these partitions, each from its place.
    pub fn assign<S: Into<String>>(
        mut self,
        partitions: impl IntoIterator<Item = (S, PartitionIndex, StartAt)>,
    ) -> Self {
        let partitions = partitions.into_iter().map(|(topic, partition, start)| (topic.into(), partition, start));
        self.partitions.extend(partitions);
        self
    }

    /// Reads all partitions that the topic has when the consumer is built.
    pub fn assign_topic(mut self, topic: impl Into<String>, start: StartAt) -> Self {
        self.topics.push((topic.into(), start));
        self
    }

    /// How long a broker waits for `min_bytes` before it answers. Default: 500 ms, at most 30 s. It is no latency: an
    /// answer comes as soon as there is enough.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.rules.max_wait = max_wait;
        self
    }

    /// Least bytes that a broker waits for. Default: 1. More: fewer, larger answers, at the price of latency.
    pub const fn min_bytes(mut self, bytes: u32) -> Self {
        self.rules.min_bytes = bytes;
        self
    }

    /// Most bytes of one answer. Default: 8 MiB.
    pub const fn fetch_max_bytes(mut self, bytes: usize) -> Self {
        self.rules.fetch_max_bytes = bytes;
        self
    }

    /// Most bytes of one partition in an answer; also where prefetching it stops. Default: 1 MiB.
    pub const fn partition_max_bytes(mut self, bytes: usize) -> Self {
        self.rules.partition_max_bytes = bytes;
        self
    }

    /// Most bytes that are held or asked for ahead of the caller; each broker that leads a partition has an equal share of
    /// them. Default: 32 MiB.
    pub const fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.rules.prefetch_bytes = bytes;
        self
    }

    /// Silence of a broker, beyond `max_wait`, after which its stream is given up. Default: 30 s.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.rules.request_timeout = bounded(timeout);
        self
    }

    /// Whether offsets may be missing, as in a compacted topic. Default: false, a gap is an error.
    pub const fn allow_gaps(mut self, allow: bool) -> Self {
        self.rules.gaps = if allow { Gaps::AreNormal } else { Gaps::AreErrors };
        self
    }

    /// Most bytes that one batch may have when decompressed. Default: 64 MiB.
    pub const fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.rules.limits.max_decompressed_bytes = bytes;
        self
    }

    /// How long finding the topics and the first starting offset may take. Default: 30 s. A partition whose leader does not
    /// answer holds the others up for 5 s at most, and begins where it was to begin as soon as a leader answers: at the end
    /// means with what was written since the consumer was built, by the times of the records.
    pub const fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = bounded(timeout);
        self
    }

    /// The consumer, once its starting offsets are found, or those that can be.
    pub async fn build(self) -> Result<Consumer, Error> {
        self.validate()?;
        let begun = now_ms();
        let deadline = Deadline::after(self.start_timeout);
        let metadata = self.client.metadata();
        let mut assigned = self.partitions.clone();
        for (name, start) in &self.topics {
            let topic = metadata.topic(name, deadline).await?;
            assigned.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition, *start)));
        }
        let mut seen = BTreeSet::new();
        assigned.retain(|(topic, partition, _)| seen.insert((topic.clone(), *partition)));
        let wanted: Vec<_> =
            assigned.iter().map(|(topic, partition, start)| (topic.as_str(), *partition, *start)).collect();
        let before = self.client.view();
        let found = self.starts_and_ends(&wanted, deadline).await?;
        let (mut partitions, mut starts, mut unresolved) = (Vec::with_capacity(assigned.len()), Vec::new(), Vec::new());
        for ((name, partition, at), (start, end)) in assigned.iter().zip(found) {
            let topic = metadata.topic(name, deadline).await?;
            if topic.partition(*partition).is_none() {
                let (topic, count) = (name.clone(), topic.partitions.len());
                return Err(ClientError::UnknownPartition { topic, partition: partition.0, count }.into());
            }
            if before.topics.get(&**name).is_some_and(|known| known.id != topic.id) {
                // The offsets may be of the one before.
                return Err(Error::TopicGone(name.clone()));
            }
            let (topic, id) = (Arc::clone(&topic.name), topic.id.to_bytes());
            let offset = start.as_ref().copied().unwrap_or_default();
            let mut fetch = PartitionFetch::new(topic, id, *partition, offset);
            fetch.high_watermark = end.ok().flatten();
            fetch.from_beginning = *at == StartAt::Earliest;
            match start {
                Ok(_) => {}
                // It has come since it was looked up, or its leader may.
                Err(error) if error.is_retriable() || matches!(error, ClientError::UnknownPartition { .. }) => {
                    fetch.begin = Begin::Unknown;
                    let (index, topic, start) = (partitions.len(), name.clone(), at.as_of(begun));
                    unresolved.push(Unresolved { index, topic, partition: *partition, start });
                }
                Err(error) => fetch.fail(Error::no_start(name, *partition, error)),
            }
            starts.push(fetch.fetch_offset());
            partitions.push(fetch);
        }
        let shared = Arc::new(Shared::new(self.client, self.rules, partitions));
        shared.update(|buffers| (0..starts.len()).for_each(|index| buffers.set_ready(index))); // those that have failed
        let later = resolve_later(shared.client.clone(), unresolved, shared.ended.clone());
        let consumer = Consumer::new(Arc::clone(&shared), starts, later);
        router::start(&shared);
        Ok(consumer)
    }

    /// The start and the end of each place, as its leader tells them. A partition whose leader does not answer holds the
    /// others up for [`PATIENCE`] only; without any answer, or any hope of one, there is nothing to read.
    async fn starts_and_ends(&self, wanted: &[Place<'_>], deadline: Deadline) -> Result<Vec<Ends>, Error> {
        // The ends too: an empty answer to a fetch does not tell them, and the caller may ask whether it is at the end. And
        // a start that was named is no answer of anybody.
        let look = async |until| resolve_with_ends(&self.client, wanted, until).await;
        let answers = |(_, end): &Ends| end.is_ok();
        let is_final = |(start, end): &Ends| {
            let mut errors = [start.as_ref().err(), end.as_ref().err()].into_iter().flatten();
            errors.any(|error| !error.is_retriable())
        };
        let mut found = look(Deadline::after(self.start_timeout.min(PATIENCE))).await;
        if !found.iter().any(answers) && !found.iter().all(is_final) && !deadline.is_over() {
            found = look(deadline).await;
        }
        if found.iter().any(answers) && !found.iter().all(is_final) {
            return Ok(found);
        }
        let error = |(start, end): &Ends| start.clone().err().or(end.clone().err());
        let of_final = found.iter().filter(|found| is_final(found)).find_map(error);
        match of_final.or_else(|| found.iter().find_map(error)) {
            Some(error) => Err(error.into()),
            None => Ok(found),
        }
    }

    fn validate(&self) -> Result<(), Error> {
        let rules = &self.rules;
        let mut problems = Vec::new();
        if self.partitions.is_empty() && self.topics.is_empty() {
            problems.push("nothing is assigned: name partitions or topics");
        }
        if rules.max_wait > Duration::from_secs(30) {
            problems.push("max_wait must be at most 30 s");
        }
        if rules.partition_max_bytes == 0 || rules.fetch_max_bytes < rules.partition_max_bytes {
            problems.push("partition_max_bytes must be above 0 and at most fetch_max_bytes");
        }
        if rules.prefetch_bytes < rules.partition_max_bytes {
            problems.push("prefetch_bytes must be at least partition_max_bytes");
        }
        // A batch that is larger than an answer may be comes all the same, alone.
        let largest = rules.fetch_max_bytes.max(BATCH_BYTES_MAX);
        if largest.saturating_add(ENVELOPE_BYTES) > self.client.config().max_message_bytes {
            problems.push(
                "the client's max_message_bytes must be 1 MiB above fetch_max_bytes, and at least 17 MiB: batches may \
                 have 16",
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(ClientError::InvalidConfig(problems.join("; ")).into()) }
    }
}
