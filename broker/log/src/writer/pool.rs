//! The threads, and the partitions that wait for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use parking_lot::{Condvar, Mutex};

use super::{Op, room::Budget, round::RoundOutcome, slot::Slot, timer::Timer};
use crate::{Disk, Error, WriterConfig};

/// What the threads share.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) disk: Arc<Disk>,
    pub(super) config: WriterConfig,
    pub(super) budget: Arc<Budget>,
    pub(super) fetched: Arc<Budget>,
    pub(super) timer: Timer,
    ready: Mutex<Ready>,
    wake: Condvar,
    /// Every partition, for telling a failure of the disk.
    slots: Mutex<Vec<Weak<Slot>>>,
}

#[derive(Debug, Default)]
struct Ready {
    /// Each partition stands here once at most.
    queue: VecDeque<Arc<Slot>>,
    sleeping: usize,
    is_stopping: bool,
}

impl Pool {
    pub(super) fn new(disk: Arc<Disk>, config: WriterConfig) -> Arc<Self> {
        Arc::new(Self {
            disk,
            config,
            budget: Budget::new(config.max_in_flight_bytes),
            fetched: Budget::new(config.max_fetched_bytes),
            timer: Timer::default(),
            ready: Mutex::default(),
            wake: Condvar::new(),
            slots: Mutex::default(),
        })
    }

    /// Takes a partition in. It is told of failures from now on.
    pub(super) fn add(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        // Only when it would grow: a look at all of them for each would cost the square.
        if slots.len() == slots.capacity() {
            slots.retain(|slot| slot.strong_count() > 0);
            // As many again may come before the next look at all.
            let held = slots.len();
            slots.reserve(held.max(8));
        }
        slots.push(Arc::downgrade(slot));
    }

    /// Lets a thread work on the partition. It must have been marked as scheduled.
    pub(super) fn schedule(&self, slot: Arc<Slot>) {
        let mut ready = self.ready.lock();
        ready.queue.push_back(slot);
        let must_wake = ready.sleeping > 0;
        drop(ready);
        if must_wake {
            self.wake.notify_one();
        }
    }

    /// Ends the threads once nothing waits.
    pub(super) fn stop(&self) {
        self.ready.lock().is_stopping = true;
        self.wake.notify_all();
        self.timer.stop();
    }

    /// What each thread does.
    pub(super) fn work(&self) {
        let mut round = Vec::new();
        while let Some(slot) = self.next() {
            self.work_on(&slot, &mut round);
            if slot.end_round() {
                self.schedule(slot); // behind the others
            }
        }
    }

    fn next(&self) -> Option<Arc<Slot>> {
        let mut ready = self.ready.lock();
        loop {
            if let Some(slot) = ready.queue.pop_front() {
                return Some(slot);
            }
            if ready.is_stopping {
                return None;
            }
            ready.sleeping += 1;
            self.wake.wait(&mut ready);
            ready.sleeping -= 1;
        }
    }

    fn work_on(&self, slot: &Arc<Slot>, round: &mut Vec<Op>) {
        let mut place = slot.open.lock();
        let Some(open) = place.take() else { return };
        slot.take_round(self.config.max_round_bytes, round);
        match open.run(round, |completion| slot.tell(completion)) {
            Ok((open, outcome)) => {
                *place = open;
                if let RoundOutcome::Open(Some(at)) = outcome {
                    self.timer.wake_at(slot, at);
                }
            }
            Err(error) => {
                round.clear();
                drop(place);
                self.fail(slot, &error);
            }
        }
    }

    /// The partition failed. If the disk did, all of its partitions have.
    fn fail(&self, slot: &Slot, error: &Error) {
        let Some(first) = self.disk.failure() else {
            tracing::error!(%error, "a log failed");
            slot.fail(error);
            return;
        };
        tracing::error!(error = %first, "the data folder failed; no log of it is written any more");
        let slots: Vec<_> = self.slots.lock().iter().filter_map(Weak::upgrade).collect();
        for slot in slots {
            slot.fail(&first);
        }
    }
}
