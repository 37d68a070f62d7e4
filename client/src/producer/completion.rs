//! How callers learn what became of their records: one completion per batch, shared by all of its records' futures.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use holdfast_proto::{
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex},
};

use super::Error;

/// Where a record was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition that the record asked for, or that was chosen for it.
    pub partition: PartitionIndex,
    /// Its offset; `None` with acks=none, or if the broker knows only that it was appended before.
    pub offset: Option<Offset>,
    /// Leader epoch in which it was acknowledged; `None` with acks=none.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A function that is told what became of one record.
pub(crate) type Callback = Box<dyn FnOnce(Result<Delivery, Error>) + Send>;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchOutcome {
    /// In the log, as durable as the acks asked for.
    Delivered { base_offset: Option<Offset>, leader_epoch: Option<LeaderEpoch> },
    /// Certainly not in the log.
    NotAppended { code: ErrorCode },
    /// Perhaps in the log.
    InDoubt { code: ErrorCode },
}

impl BatchOutcome {
    /// What it means for the record with this index in the batch.
    pub(crate) fn of_record(self, partition: PartitionIndex, index: u32) -> Result<Delivery, Error> {
        match self {
            Self::Delivered { base_offset, leader_epoch } => {
                let offset = base_offset.map(|base| base.plus(index.into()));
                Ok(Delivery { partition, offset, leader_epoch })
            }
            Self::NotAppended { code } => Err(Error::NotAppended { code }),
            Self::InDoubt { code } => Err(Error::InDoubt { code }),
        }
    }
}

/// Shared by a batch and the futures of its records.
#[derive(Debug)]
pub(crate) struct BatchCompletion {
    partition: PartitionIndex,
    outcome: OnceLock<BatchOutcome>,
    wakers: Mutex<Vec<Waker>>,
}

impl BatchCompletion {
    pub(crate) fn new(partition: PartitionIndex) -> Arc<Self> {
        Arc::new(Self { partition, outcome: OnceLock::new(), wakers: Mutex::default() })
    }

    /// Tells everybody who waits. A batch completes once.
    pub(crate) fn complete(&self, outcome: BatchOutcome) {
        let first = self.outcome.set(outcome).is_ok();
        assert!(first, "a batch completed twice: {:?}, now {outcome:?}", self.outcome.get());
        for waker in std::mem::take(&mut *self.wakers.lock()) {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<BatchOutcome> {
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(*outcome);
        }
        let mut wakers = self.wakers.lock();
        // It may have completed before the lock was taken; `complete` wakes under the lock only what stands here.
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(*outcome);
        }
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Partition of the batch.
    pub(crate) const fn partition(&self) -> PartitionIndex {
        self.partition
    }

    /// Waits until the batch is complete.
    pub(crate) async fn done(&self) -> BatchOutcome {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

/// Ends when the outcome of one record is known. Dropping it changes nothing about the record: fire and forget.
#[derive(Debug)]
#[must_use = "the record is sent all the same, but nobody learns whether it was delivered; use `post` to say so"]
pub struct DeliveryFuture {
    batch: Arc<BatchCompletion>,
    index: u32,
}

impl DeliveryFuture {
    pub(crate) const fn new(batch: Arc<BatchCompletion>, index: u32) -> Self {
        Self { batch, index }
    }

    /// The outcome of the record, if it is known already.
    pub fn now(&self) -> Option<Result<Delivery, Error>> {
        self.batch.outcome.get().map(|outcome| outcome.of_record(self.batch.partition, self.index))
    }
}

impl Future for DeliveryFuture {
    type Output = Result<Delivery, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.batch.poll(cx).map(|outcome| outcome.of_record(self.batch.partition, self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_future_of_a_batch_learns_its_own_offset() {
        let batch = BatchCompletion::new(PartitionIndex(3));
        let futures: Vec<_> = (0..3).map(|index| DeliveryFuture::new(Arc::clone(&batch), index)).collect();
        assert!(futures[0].now().is_none());
        let waiting = tokio::spawn(futures::future::join_all(futures));
        tokio::task::yield_now().await;
        batch.complete(BatchOutcome::Delivered { base_offset: Some(Offset(10)), leader_epoch: Some(LeaderEpoch(2)) });
        let offsets: Vec<_> =
            waiting.await.unwrap().into_iter().map(|delivery| delivery.unwrap().offset.unwrap().0).collect();
        assert_eq!(offsets, [10, 11, 12]);
    }

    #[test]
    #[should_panic(expected = "completed twice")]
    fn a_batch_completes_once() {
        let batch = BatchCompletion::new(PartitionIndex(0));
        batch.complete(BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
        batch.complete(BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
    }
}
