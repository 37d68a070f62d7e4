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
    /// Its offset; `None` with acks=none.
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

/// Which records of a batch something is about that was split: the batch was larger than its topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Index of its first record in the batch as it was accepted.
    pub(crate) first: u32,
    /// True for the part with the last record; it is the last one to end.
    pub(crate) last: bool,
}

impl Part {
    /// A batch that was never split.
    pub(crate) const WHOLE: Self = Self { first: 0, last: true };
}

/// What became of the records of a batch.
#[derive(Debug)]
enum Told {
    Whole(BatchOutcome),
    /// In order, each with the index of its first record.
    Parts(Vec<(u32, BatchOutcome)>),
}

impl Told {
    fn of_record(&self, partition: PartitionIndex, index: u32) -> Result<Delivery, Error> {
        match self {
            Self::Whole(outcome) => outcome.of_record(partition, index),
            Self::Parts(parts) => {
                let at = parts.partition_point(|(first, _)| *first <= index) - 1;
                let (first, outcome) = parts[at];
                outcome.of_record(partition, index - first)
            }
        }
    }
}

/// The place of who waits for no batch yet.
const NO_PLACE: u32 = u32::MAX;

/// Shared by a batch and the futures of its records.
#[derive(Debug)]
pub(crate) struct BatchCompletion {
    partition: PartitionIndex,
    told: OnceLock<Told>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// One for each that waits, at the place that it keeps: none looks for itself among all of the others.
    wakers: Vec<Waker>,
    /// Parts that have ended while others of the batch have not.
    parts: Vec<(u32, BatchOutcome)>,
}

impl BatchCompletion {
    pub(crate) fn new(partition: PartitionIndex) -> Arc<Self> {
        Arc::new(Self { partition, told: OnceLock::new(), waiting: Mutex::default() })
    }

    /// Takes in what became of one part; with the last one, tells everybody who waits. A batch completes once.
    pub(crate) fn complete(&self, part: Part, outcome: BatchOutcome) {
        let mut waiting = self.waiting.lock();
        if !part.last {
            waiting.parts.push((part.first, outcome));
            return;
        }
        let (wakers, mut parts) = (std::mem::take(&mut waiting.wakers), std::mem::take(&mut waiting.parts));
        let told = if parts.is_empty() {
            Told::Whole(outcome)
        } else {
            parts.push((part.first, outcome));
            Told::Parts(parts)
        };
        let first = self.told.set(told).is_ok();
        assert!(first, "a batch completed twice: {:?}, now {outcome:?}", self.told.get());
        drop(waiting);
        for waker in wakers {
            waker.wake();
        }
    }

    /// `place` is where who asks keeps its waker, [`NO_PLACE`] the first time.
    fn poll(&self, cx: &Context<'_>, place: &mut u32) -> Poll<&Told> {
        if let Some(told) = self.told.get() {
            return Poll::Ready(told);
        }
        let mut waiting = self.waiting.lock();
        // It may have completed before the lock was taken; `complete` wakes only what stands here by then.
        if let Some(told) = self.told.get() {
            return Poll::Ready(told);
        }
        if let Some(waker) = waiting.wakers.get_mut(*place as usize) {
            waker.clone_from(cx.waker());
        } else {
            *place = waiting.wakers.len() as u32;
            waiting.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Partition of the batch.
    pub(crate) const fn partition(&self) -> PartitionIndex {
        self.partition
    }

    /// Waits until the batch is complete.
    pub(crate) async fn done(&self) {
        let mut place = NO_PLACE;
        std::future::poll_fn(|cx| self.poll(cx, &mut place).map(|_| ())).await;
    }
}

/// Ends when the outcome of one record is known. Dropping it changes nothing about the record: fire and forget.
#[derive(Debug)]
#[must_use = "the record is sent all the same, but nobody learns whether it was delivered; use `post` to say so"]
pub struct DeliveryFuture {
    batch: Arc<BatchCompletion>,
    index: u32,
    /// Where its waker stands; a number and no `Option`, for there is one of it for each record.
    place: u32,
}

impl DeliveryFuture {
    pub(crate) const fn new(batch: Arc<BatchCompletion>, index: u32) -> Self {
        Self { batch, index, place: NO_PLACE }
    }

    /// The outcome of the record, if it is known already.
    pub fn now(&self) -> Option<Result<Delivery, Error>> {
        self.batch.told.get().map(|told| told.of_record(self.batch.partition, self.index))
    }
}

impl Future for DeliveryFuture {
    type Output = Result<Delivery, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { batch, index, place } = self.get_mut();
        batch.poll(cx, place).map(|told| told.of_record(batch.partition, *index))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        task::Wake,
    };

    use super::*;

    #[tokio::test]
    async fn every_future_of_a_batch_learns_its_own_offset() {
        let batch = BatchCompletion::new(PartitionIndex(3));
        let futures: Vec<_> = (0..3).map(|index| DeliveryFuture::new(Arc::clone(&batch), index)).collect();
        assert!(futures[0].now().is_none());
        let waiting = tokio::spawn(futures::future::join_all(futures));
        tokio::task::yield_now().await;
        batch.complete(
            Part::WHOLE,
            BatchOutcome::Delivered { base_offset: Some(Offset(10)), leader_epoch: Some(LeaderEpoch(2)) },
        );
        let offsets: Vec<_> =
            waiting.await.unwrap().into_iter().map(|delivery| delivery.unwrap().offset.unwrap().0).collect();
        assert_eq!(offsets, [10, 11, 12]);
    }

    #[test]
    fn a_split_batch_is_complete_with_its_last_part_and_each_record_learns_of_its_own() {
        let batch = BatchCompletion::new(PartitionIndex(0));
        let future = |index| DeliveryFuture::new(Arc::clone(&batch), index);
        let at = |offset| BatchOutcome::Delivered { base_offset: Some(Offset(offset)), leader_epoch: None };
        batch.complete(Part { first: 0, last: false }, at(100));
        batch.complete(Part { first: 3, last: false }, BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
        assert!(future(0).now().is_none());
        batch.complete(Part { first: 4, last: true }, at(200));
        let offset = |index| future(index).now().unwrap().ok().map(|delivery| delivery.offset.unwrap().0);
        assert_eq!([0, 2, 3, 4, 6].map(offset), [Some(100), Some(102), None, Some(200), Some(202)]);
    }

    #[test]
    fn a_future_that_is_asked_again_keeps_its_place_and_wakes_who_asked_last() {
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let batch = BatchCompletion::new(PartitionIndex(0));
        let mut futures = [0, 1].map(|index| DeliveryFuture::new(Arc::clone(&batch), index));
        let tasks = [0, 1].map(|_| Arc::new(Count(AtomicU32::new(0))));
        // Two tasks in turn: neither waker is the one that stands there.
        for round in 0..10 {
            for future in &mut futures {
                let waker = Waker::from(Arc::clone(&tasks[round % 2]));
                assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        assert_eq!(batch.waiting.lock().wakers.len(), 2);
        batch.complete(Part::WHOLE, BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [0, 2]);
        assert_eq!(size_of::<DeliveryFuture>(), 16, "there is one for each record");
    }

    #[test]
    #[should_panic(expected = "completed twice")]
    fn a_batch_completes_once() {
        let batch = BatchCompletion::new(PartitionIndex(0));
        batch.complete(Part::WHOLE, BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
        batch.complete(Part::WHOLE, BatchOutcome::NotAppended { code: ErrorCode::MessageTooLarge });
    }
}
