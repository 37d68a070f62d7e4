//! What caller, lanes and router of one consumer share: its partitions under one lock, and the wake-ups between them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, PartitionIndex},
    v1,
};

use super::{
    Error,
    buffers::{Buffers, Rules},
    lane::FetchLane,
    partition::{Fetched, PartitionFetch, RETRY_BACKOFF_MAX},
};
use crate::Client;

/// What caller, lanes and router share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) rules: Rules,
    pub(crate) lanes: Mutex<HashMap<BrokerId, Arc<FetchLane>>>,
    pub(crate) ended: CancellationToken,
    state: Mutex<State>,
    correlations: AtomicU64,
}

#[derive(Debug)]
struct State {
    buffers: Buffers,
    /// The caller, while it waits for something to take.
    waiting: Option<Waker>,
}

/// What the caller gets next.
pub(crate) enum Taken {
    /// A batch or a problem of this partition.
    Item(usize, Result<Fetched, Error>),
    /// No partition has anything now; the caller waits.
    Nothing,
    /// Nothing ever: every partition has failed.
    AllFailed,
}

impl Shared {
    pub(crate) fn new(client: Client, rules: Rules, partitions: Vec<PartitionFetch>) -> Self {
        Self {
            client,
            rules,
            lanes: Mutex::default(),
            ended: CancellationToken::new(),
            state: Mutex::new(State { buffers: Buffers::new(partitions), waiting: None }),
            correlations: AtomicU64::new(1),
        }
    }

    /// Does something with the partitions, then wakes the caller if there is something for it.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Buffers) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state.buffers);
        let waker = if state.buffers.has_ready() { state.waiting.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// The next batch or problem, each partition in its turn. Without one, the waker is kept.
    pub(crate) fn take(&self, waker: &Waker) -> Taken {
        let mut state = self.state.lock();
        if let Some((index, item)) = state.buffers.take() {
            let leader = state.buffers.partitions[index].leader_id();
            drop(state);
            // There is room again in its broker's share.
            if let Some(lane) = leader.and_then(|leader| self.lanes.lock().get(&leader).cloned()) {
                lane.wake();
            }
            return Taken::Item(index, item);
        }
        if state.buffers.partitions.iter().all(PartitionFetch::has_failed) {
            return Taken::AllFailed;
        }
        if !state.waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waiting = Some(waker.clone());
        }
        Taken::Nothing
    }

    /// Has every lane look again: room was made, or another number of brokers shares it.
    pub(crate) fn wake_lanes(&self) {
        self.lanes.lock().values().for_each(|lane| lane.wake());
    }

    /// When a partition of this broker may be asked for again that was refused for now, if nothing else has to come first.
    pub(crate) fn retry_at(&self, broker: BrokerId) -> Option<Instant> {
        self.state.lock().buffers.retry_at(broker, &self.rules)
    }

    /// A request for all partitions of this broker that want records, if there is one and room for the answer.
    pub(crate) fn next_request(&self, broker: BrokerId, now: Instant) -> Option<v1::FetchRequest> {
        let correlation_id = self.correlations.fetch_add(1, Ordering::Relaxed);
        self.state.lock().buffers.next_request(broker, correlation_id, &self.rules, now)
    }

    /// Takes an answer in; true if the metadata should be refreshed.
    pub(crate) fn take_answer(&self, lane: &FetchLane, answer: v1::FetchResponse, now: Instant) -> bool {
        for part in &answer.partitions {
            self.note_leadership(lane, part, now);
        }
        self.update(|buffers| buffers.take_answer(answer, self.rules.gaps, now))
    }

    /// Takes in what a part of an answer says about who leads, and about who answers.
    fn note_leadership(&self, lane: &FetchLane, part: &v1::FetchedPartition, now: Instant) {
        let Some(error) = &part.error else {
            lane.end.served();
            return;
        };
        let (metadata, partition) = (self.client.metadata(), PartitionIndex(part.partition));
        if let Some(hint) = &error.leader {
            metadata.apply_hint(&part.topic, partition, hint);
        }
        let is_named =
            || metadata.view().leader(&part.topic, partition).is_some_and(|known| known.broker == lane.broker);
        if error.code == ErrorCode::NotLeaderOrFollower.number() && is_named() {
            lane.end.refused(now, RETRY_BACKOFF_MAX);
        }
    }

    /// Stops every partition that is out at this broker with this problem: it takes no request at all.
    pub(crate) fn fail_out(&self, broker: BrokerId, problem: &ErrorDetail) {
        self.update(|buffers| buffers.fail_out(broker, problem));
    }

    /// One of the requests that are out at this broker met this problem, and would again: finds out which.
    pub(crate) fn single_out(&self, broker: BrokerId, problem: &ErrorDetail) {
        self.update(|buffers| buffers.single_out(broker, problem));
    }

    /// Forgets what is out at this broker: its stream is over.
    pub(crate) fn forget(&self, broker: BrokerId) {
        self.update(|buffers| buffers.forget(broker));
    }
}
