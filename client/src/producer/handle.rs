//! The producer as callers hold it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tracing::warn;

use holdfast_proto::error::ErrorCode;

use super::{
    Delivery, DeliveryFuture, Error, Record, TopicHandle,
    batch_queue::Appended,
    completion::{BatchCompletion, Callback},
    limits::{self, RecordLimits},
    router,
    shared::Shared,
    topic::TopicQueues,
};
use crate::{deadline::Deadline, wall_clock::now_ms};

/// How long the last outcomes may take to be told once all of them are known.
const LAST_OUTCOMES: Duration = Duration::from_secs(5);

/// Sends records. Cheap to clone; the clones share buffer, connections and producer id.
///
/// Dropping the last clone gives up what is not delivered, without waiting; call [`Producer::close`] first.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    max_block: Duration,
    limits: RecordLimits,
}

/// What became of all records that a producer accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// In the log, as durable as the acks asked for.
    pub delivered: u64,
    /// Certainly not in the log.
    pub not_appended: u64,
    /// Perhaps in the log.
    pub in_doubt: u64,
}

impl Producer {
    pub(crate) fn new(shared: Arc<Shared>, max_block: Duration, limits: RecordLimits) -> Self {
        Self { inner: Arc::new(Inner { shared, max_block, limits }) }
    }

    /// The topic, to send records to. Fails if it does not exist; it is not created.
    pub async fn topic(&self, name: &str) -> Result<TopicHandle, Error> {
        let shared = &self.inner.shared;
        if shared.ended.is_cancelled() {
            return Err(Error::Closed);
        }
        let deadline = Deadline::after(self.inner.max_block);
        loop {
            if let Some(queues) = shared.topics.read().get(name).filter(|queues| !queues.is_gone()) {
                return Ok(TopicHandle { queues: Arc::clone(queues) });
            }
            let known = shared.client.metadata().topic(name, deadline).await?;
            let max_message_bytes = limits::of_topic(&shared.client, name).await;
            let queues = {
                let mut topics = shared.topics.write();
                topics.retain(|_, queues| !queues.is_gone());
                let new = || {
                    let queues = TopicQueues::new(Arc::clone(&known.name), known.id, max_message_bytes);
                    queues.grow_to(known.partitions.len(), shared.rules, shared.identity.get());
                    Arc::new(queues)
                };
                Arc::clone(topics.entry(Arc::clone(&known.name)).or_insert_with(new))
            };
            router::route(shared, &shared.client.metadata().view(), &queues);
            // It may have been created again while its limit was asked for.
            if !queues.is_gone() || deadline.is_over() {
                return Ok(TopicHandle { queues });
            }
        }
    }

    /// Sends a record and waits until its outcome is known.
    pub async fn send(&self, record: Record<'_>) -> Result<Delivery, Error> {
        self.enqueue(record).await?.await
    }

    /// Accepts a record; the future tells what became of it. Waits only while the buffer is full, up to `max_block`.
    ///
    /// Records are sent in the order in which they are accepted, whether or not the futures are polled.
    #[inline]
    pub async fn enqueue(&self, record: Record<'_>) -> Result<DeliveryFuture, Error> {
        let reserved = self.reserve(&record).await?;
        let appended = self.append(&record, reserved, None)?;
        Ok(DeliveryFuture::new(appended.completion, appended.index))
    }

    /// As [`Self::enqueue`], but fails at once while the buffer is full.
    pub fn try_enqueue(&self, record: Record<'_>) -> Result<DeliveryFuture, Error> {
        let needed = self.inner.limits.size(&record)?;
        let memory = &self.inner.shared.outcomes.memory;
        if !memory.try_reserve(needed) {
            if memory.is_closed() {
                return Err(Error::Closed);
            }
            let capacity = memory.capacity();
            return Err(Error::BufferFull { needed, capacity, waited: Duration::ZERO });
        }
        let appended = self.append(&record, needed, None)?;
        Ok(DeliveryFuture::new(appended.completion, appended.index))
    }

    /// Accepts a record; the function is told what became of it. The functions of one partition are called in order,
    /// on a task of the producer: they must not block. One that panics is logged, and the others are called.
    pub async fn send_with_callback(
        &self,
        record: Record<'_>,
        callback: impl FnOnce(Result<Delivery, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let reserved = self.reserve(&record).await?;
        self.append(&record, reserved, Some(Box::new(callback)))?;
        Ok(())
    }

    /// Accepts a record and forgets it: it is sent as surely as any other, but only the counts of
    /// [`Self::close`] tell what became of it.
    #[inline]
    pub async fn post(&self, record: Record<'_>) -> Result<(), Error> {
        let reserved = self.reserve(&record).await?;
        self.append(&record, reserved, None)?;
        Ok(())
    }

    /// Sends what is waiting for company, and waits until everything accepted before this call has its outcome. False
    /// if the deadline passed first.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let all = wait_for_all(self.seal_all());
        tokio::time::timeout(deadline, all).await.is_ok()
    }

    /// Accepts no more, waits up to the deadline for the outcome of all records, then gives up the rest, and tells the
    /// counts since the producer was made.
    pub async fn close(self, deadline: Duration) -> CloseReport {
        let shared = &self.inner.shared;
        shared.outcomes.memory.close();
        if tokio::time::timeout(deadline, wait_for_all(self.seal_all())).await.is_err() {
            warn!(?deadline, "a producer is closed before all of its records have their outcome; the rest is given up");
        }
        shared.closed.store(true, Ordering::Release);
        shared.fail_all(ErrorCode::DeadlineExceeded);
        // Another task may be telling the last outcomes at this moment, also of what was accepted since; a callback that
        // blocks holds up nobody for long.
        if tokio::time::timeout(LAST_OUTCOMES, wait_for_all(self.seal_all())).await.is_err() {
            warn!("a callback of a producer that is closed does not return");
        }
        shared.ended.cancel();
        self.report()
    }

    /// Closes all open batches; gives the completion of the last one of each partition, until it has been told.
    fn seal_all(&self) -> Vec<Arc<BatchCompletion>> {
        let shared = &self.inner.shared;
        shared.all_partitions().iter().filter_map(|partition| partition.seal(&shared.outcomes)).collect()
    }

    /// What became of the records that have ended so far; those under way are not counted.
    pub fn report(&self) -> CloseReport {
        let counts = &self.inner.shared.outcomes.counts;
        CloseReport {
            delivered: counts.delivered.load(Ordering::Relaxed),
            not_appended: counts.not_appended.load(Ordering::Relaxed),
            in_doubt: counts.in_doubt.load(Ordering::Relaxed),
        }
    }

    /// Bytes of the buffer that are in use.
    pub fn buffered_bytes(&self) -> usize {
        self.inner.shared.outcomes.memory.used()
    }

    #[inline]
    async fn reserve(&self, record: &Record<'_>) -> Result<usize, Error> {
        let size = self.inner.limits.size(record)?;
        if self.inner.limits.may_be_too_large(record, size) {
            // Boxed: a call to a broker would make every record's future some kilobytes larger.
            Box::pin(self.inner.limits.check_with_topic(record, &self.inner.shared.client)).await?;
        }
        let memory = &self.inner.shared.outcomes.memory;
        if !memory.try_reserve(size) {
            memory.reserve(size, self.inner.max_block).await?;
        }
        Ok(size)
    }

    #[inline]
    fn append(&self, record: &Record<'_>, reserved: usize, callback: Option<Callback>) -> Result<Appended, Error> {
        let result = self.append_reserved(record, reserved, callback);
        if result.is_err() {
            self.inner.shared.outcomes.memory.release(reserved);
        }
        result
    }

    fn append_reserved(
        &self,
        record: &Record<'_>,
        reserved: usize,
        mut callback: Option<Callback>,
    ) -> Result<Appended, Error> {
        let queues = &record.topic.queues;
        let encoded = record.as_ref(record.timestamp.unwrap_or_else(now_ms));
        let mut may_go_elsewhere = record.key.is_none() && record.partition.is_none();
        loop {
            let queue = queues.choose(record.partition, record.key)?;
            let outcomes = &self.inner.shared.outcomes;
            let appended = queues.append(outcomes, &queue, &encoded, reserved, &mut callback, may_go_elsewhere)?;
            if may_go_elsewhere && appended.as_ref().is_none_or(|appended| appended.lone) {
                queues.move_on(queue.partition);
            }
            may_go_elsewhere = false;
            if let Some(appended) = appended {
                let shared = &self.inner.shared;
                if shared.closed.load(Ordering::Acquire) {
                    // Closed meanwhile: nobody would look after it.
                    queue.update(&shared.outcomes, |queue| queue.fail_all(ErrorCode::ShuttingDown));
                }
                return Ok(appended);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.shared;
        if !shared.ended.is_cancelled() {
            let unsent = shared.outcomes.memory.used();
            if unsent > 0 {
                warn!(unsent_bytes = unsent, "a producer is dropped with undelivered records: close it first");
            }
            shared.outcomes.memory.close();
            shared.closed.store(true, Ordering::Release);
            shared.fail_all(ErrorCode::ShuttingDown);
            shared.ended.cancel();
        }
    }
}

/// Each is the last of its partition, so that those before it are complete too.
async fn wait_for_all(last: Vec<Arc<BatchCompletion>>) {
    for completion in last {
        completion.done().await;
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{batch::Compression, ids::TopicId};

    use super::*;
    use crate::{
        Client, ClientConfig,
        metadata::ClusterView,
        producer::{Acks, batch_queue::Rules, identity::CurrentIdentity, memory::Memory},
    };

    #[tokio::test]
    async fn a_topic_that_is_created_again_while_it_is_asked_about_is_the_new_one() {
        let client = Client::new(ClientConfig::new(["127.0.0.1:1"])).unwrap();
        let mut view = ClusterView::with_leader(Some(1), 1);
        client.metadata().set_view(view.clone());
        let (time, memory, identity) = (Duration::from_secs(30), Memory::new(1), CurrentIdentity::new(None));
        let shared = Shared::new(client.clone(), Rules::FOR_TESTS, Acks::All, time, memory, identity);
        let limits = RecordLimits { max_record_bytes: 1, buffer_memory_bytes: 1, compression: Compression::None };
        let producer = Producer::new(Arc::new(shared), time, limits);
        let mut asked = Box::pin(producer.topic("t"));
        assert!(futures::poll!(&mut asked).is_pending(), "nobody tells the topic's limit");
        let again = TopicId::from_bytes(&[2; 16]).unwrap();
        view.topics.values_mut().for_each(|topic| Arc::make_mut(topic).id = again);
        client.metadata().set_view(view);
        let topic = asked.await.unwrap();
        assert_eq!(topic.id(), again);
        let sent = producer.post(Record::new(&topic));
        assert!(size_of_val(&sent) < 1_024, "{} bytes are made and moved for each record", size_of_val(&sent));
    }
}
