//! One partition's queue with its lock, its leader's lane, and the order of its completions.
//!
//! Invariants:
//! 1. The lock is held for moments only: never while a batch is built, a callback runs, or a task is woken.
//! 2. The task that finds finished batches delivers them; only one does at a time, so that callbacks keep their order.
//! 3. Where the last batch ends is known until all have been told: [`PartitionQueue::seal`].
//! 4. The leader is never taken from an older view of the metadata than the one known.
//! 5. The queue stands at most once in its lane's list of ready ones (`queued`).
//! 6. While there is no leader nothing is sent, though the lane of the last one is kept: what is out on it ends with it.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use holdfast_proto::{
    batch::{self, RecordRef},
    error::ErrorCode,
    ids::{LeaderEpoch, PartitionIndex},
};

use super::{
    batch_queue::{Appended, BatchQueue, Finished},
    completion::{BatchCompletion, Callback},
    lane::Lane,
    outcomes::Outcomes,
};

/// The way to a leader, for queues.
pub(crate) type PartitionLane = Lane<PartitionQueue>;

/// The queue of one partition, shared by callers and tasks.
#[derive(Debug)]
pub(crate) struct PartitionQueue {
    pub(crate) topic: Arc<str>,
    /// 16 bytes, as they travel.
    pub(crate) topic_id: Bytes,
    pub(crate) partition: PartitionIndex,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: BatchQueue,
    /// The lane of the leader that was known last.
    lane: Option<Arc<PartitionLane>>,
    /// False while there is no leader.
    is_led: bool,
    /// Epoch of the leader, or of its loss.
    leader_epoch: Option<LeaderEpoch>,
    queued: bool,
    delivering: bool,
    /// What has come to an end but is not told yet.
    finished: VecDeque<Finished>,
    /// The batch whose end is being told.
    telling: Option<Arc<BatchCompletion>>,
}

impl PartitionQueue {
    pub(crate) fn new(topic: Arc<str>, topic_id: Bytes, partition: PartitionIndex, queue: BatchQueue) -> Arc<Self> {
        let state = State {
            queue,
            lane: None,
            is_led: false,
            leader_epoch: None,
            queued: false,
            delivering: false,
            finished: VecDeque::new(),
            telling: None,
        };
        Arc::new(Self { topic, topic_id, partition, state: Mutex::new(state) })
    }

    /// Encodes the record into the open batch; wakes the lane only for the first one of a batch. `None` if the record may
    /// go elsewhere, and the batch was full or no leader can be reached.
    pub(crate) fn append(
        self: &Arc<Self>,
        record: &RecordRef<'_>,
        reserved_bytes: usize,
        callback: &mut Option<Callback>,
        may_go_elsewhere: bool,
    ) -> Result<Option<Appended>, batch::Error> {
        let mut state = self.state.lock();
        if may_go_elsewhere && !state.has_leader() {
            return Ok(None);
        }
        let appended = state.queue.append(record, reserved_bytes, callback, may_go_elsewhere, Instant::now)?;
        let look_after = appended.as_ref().is_none_or(|appended| appended.opened);
        let lane = if look_after { state.take_ready_lane() } else { None };
        drop(state);
        if let Some(lane) = lane {
            lane.push_ready(Arc::clone(self));
        }
        Ok(appended)
    }

    /// Does something with the queue, then what follows from it: deliveries, and a place in the lane's list.
    pub(crate) fn update<R>(self: &Arc<Self>, outcomes: &Outcomes, change: impl FnOnce(&mut BatchQueue) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state.queue);
        while let Some(finished) = state.queue.take_finished() {
            state.finished.push_back(finished);
        }
        let lane = state.take_ready_lane();
        let deliver = !state.finished.is_empty() && !state.delivering;
        state.delivering |= deliver;
        drop(state);
        if let Some(lane) = lane {
            lane.push_ready(Arc::clone(self));
        }
        if deliver {
            self.deliver(outcomes);
        }
        result
    }

    /// Closes the open batch; the completion of the record that was accepted last, if its end was not told yet.
    pub(crate) fn seal(self: &Arc<Self>, outcomes: &Outcomes) -> Option<Arc<BatchCompletion>> {
        let last = {
            let mut state = self.state.lock();
            state.queue.seal();
            state.last_completion()
        };
        self.update(outcomes, |_| ());
        last
    }

    /// True if there is nothing whose end has to be told.
    pub(crate) fn is_settled(&self) -> bool {
        self.state.lock().last_completion().is_none()
    }

    /// Nothing can be sent now, for this reason.
    pub(crate) fn block(&self, code: ErrorCode) {
        self.state.lock().queue.blocked(code);
    }

    /// Looks at the queue.
    pub(crate) fn inspect<R>(&self, look: impl FnOnce(&BatchQueue) -> R) -> R {
        look(&self.state.lock().queue)
    }

    /// For the lane: takes the queue off the list and asks what to send. `None` if another lane serves it by now, or none.
    pub(crate) fn serve<R>(
        &self,
        lane: &Arc<PartitionLane>,
        ask: impl FnOnce(&mut BatchQueue, Option<LeaderEpoch>) -> R,
    ) -> Option<R> {
        let mut state = self.state.lock();
        if !state.is_on(lane) {
            return None;
        }
        state.queued = false;
        if !state.is_led {
            return None;
        }
        let epoch = state.leader_epoch;
        Some(ask(&mut state.queue, epoch))
    }

    /// For the lane: true if it stays on the list, as the lane's broker leads it.
    pub(crate) fn stays_on(&self, lane: &Arc<PartitionLane>) -> bool {
        let mut state = self.state.lock();
        let stays = state.is_on(lane) && state.is_led;
        if state.is_on(lane) {
            state.queued &= stays;
        }
        stays
    }

    /// True if the broker of this lane leads it.
    pub(crate) fn is_led_by(&self, lane: &Arc<PartitionLane>) -> bool {
        let state = self.state.lock();
        state.is_on(lane) && state.is_led
    }

    /// True if its leader is known, though perhaps not reached.
    pub(crate) fn is_led(&self) -> bool {
        self.state.lock().is_led
    }

    /// True if its leader is known and was reached at the last attempt.
    pub(crate) fn has_leader(&self) -> bool {
        self.state.lock().has_leader()
    }

    /// The lane of the leader that was known last.
    pub(crate) fn lane(&self) -> Option<Arc<PartitionLane>> {
        self.state.lock().lane.clone()
    }

    /// Hands the queue to the lane of a new leader; nothing of an old leadership is waited for. A leader of an older epoch
    /// than the known one is not news, though it be another broker: views of the metadata may come out of order.
    pub(crate) fn assign(self: &Arc<Self>, outcomes: &Outcomes, lane: &Arc<PartitionLane>, epoch: LeaderEpoch) {
        {
            let mut state = self.state.lock();
            let same = state.is_on(lane);
            if state.leader_epoch.is_some_and(|known| known > epoch || (known == epoch && state.is_led)) {
                return;
            }
            state.lane = Some(Arc::clone(lane));
            state.is_led = true;
            state.leader_epoch = Some(epoch);
            state.queued &= same;
        }
        self.update(outcomes, |queue| queue.moved(Instant::now()));
    }

    /// Has nothing more sent until there is a leader again. That it lost one comes with an epoch of its own, so that no older
    /// view of the metadata takes back a leader that is known.
    pub(crate) fn lose_leader(&self, epoch: LeaderEpoch) {
        let mut state = self.state.lock();
        if state.leader_epoch.is_none_or(|known| known < epoch) {
            (state.is_led, state.leader_epoch) = (false, Some(epoch));
        }
    }

    fn deliver(&self, outcomes: &Outcomes) {
        loop {
            let finished = {
                let mut state = self.state.lock();
                let finished = state.finished.pop_front();
                state.telling = finished.as_ref().map(|finished| Arc::clone(&finished.completion));
                let Some(finished) = finished else {
                    state.delivering = false;
                    return;
                };
                finished
            };
            outcomes.finish(finished);
        }
    }
}

impl State {
    /// True if its leader is known and was reached at the last attempt.
    fn has_leader(&self) -> bool {
        self.is_led && self.lane.as_ref().is_some_and(|lane| lane.is_usable())
    }

    /// True if this is the lane of the leader that was known last.
    fn is_on(&self, lane: &Arc<PartitionLane>) -> bool {
        self.lane.as_ref().is_some_and(|current| Arc::ptr_eq(current, lane))
    }

    /// Completion of the record that was accepted last, until its end was told.
    fn last_completion(&self) -> Option<Arc<BatchCompletion>> {
        let finished = || self.finished.back().map(|finished| Arc::clone(&finished.completion));
        self.queue.last_completion().or_else(finished).or_else(|| self.telling.clone())
    }

    /// The lane that has to be told, if there is work and it is not told already.
    fn take_ready_lane(&mut self) -> Option<Arc<PartitionLane>> {
        if self.queued || !self.is_led || !self.queue.has_work() {
            return None;
        }
        let lane = self.lane.clone()?;
        self.queued = true;
        Some(lane)
    }
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
