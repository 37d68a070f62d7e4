//! The partitions of one consumer under one lock, and the wake-ups between caller and lanes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use holdfast_proto::{
    batch::DecodeLimits,
    error::ErrorCode,
    ids::{BrokerId, PartitionIndex},
    v1,
};

use super::{
    Error,
    lane::FetchLane,
    partition::{Fetched, Gaps, PartitionFetch, RETRY_BACKOFF_MAX},
};
use crate::Client;

/// What a consumer goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) max_wait: Duration,
    pub(crate) min_bytes: u32,
    pub(crate) fetch_max_bytes: usize,
    pub(crate) partition_max_bytes: usize,
    pub(crate) prefetch_bytes: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) gaps: Gaps,
    pub(crate) limits: DecodeLimits,
}

/// What caller, lanes and router share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) rules: Rules,
    pub(crate) lanes: Mutex<HashMap<BrokerId, Arc<FetchLane>>>,
    pub(crate) ended: CancellationToken,
    buffers: Mutex<Buffers>,
    correlations: AtomicU64,
}

/// The partitions, and who waits for them.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) partitions: Vec<PartitionFetch>,
    /// Indices of partitions with something to hand out, in turn.
    ready: VecDeque<usize>,
    /// Bytes that requests which are out may bring, by correlation id.
    promised: HashMap<u64, usize>,
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
            buffers: Mutex::new(Buffers { partitions, ..Buffers::default() }),
            correlations: AtomicU64::new(1),
        }
    }

    /// Does something with the partitions, then wakes the caller if there is something for it.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Buffers) -> R) -> R {
        let mut buffers = self.buffers.lock();
        let result = change(&mut buffers);
        let waker = if buffers.ready.is_empty() { None } else { buffers.waiting.take() };
        drop(buffers);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// The next batch or problem, each partition in its turn. Without one, the waker is kept.
    pub(crate) fn take(&self, waker: &Waker) -> Taken {
        let mut buffers = self.buffers.lock();
        let full = buffers.room(&self.rules) == 0;
        while let Some(index) = buffers.ready.pop_front() {
            let partition = &mut buffers.partitions[index];
            if !partition.is_ready() {
                continue;
            }
            let Some(item) = partition.take() else { continue };
            let leader = partition.leader.map(|(broker, _)| broker);
            if partition.is_ready() {
                buffers.ready.push_back(index);
            }
            drop(buffers);
            // There is room again: for this partition's lane, or for any if all waited for room.
            let lanes = self.lanes.lock();
            lanes.values().filter(|lane| full || Some(lane.broker) == leader).for_each(|lane| lane.wake());
            return Taken::Item(index, item);
        }
        if buffers.partitions.iter().all(PartitionFetch::has_failed) {
            return Taken::AllFailed;
        }
        if !buffers.waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            buffers.waiting = Some(waker.clone());
        }
        Taken::Nothing
    }

    /// When a partition of this broker may be asked for again that was refused for now, if nothing else has to come first.
    pub(crate) fn retry_at(&self, broker: BrokerId) -> Option<Instant> {
        self.buffers.lock().retry_at(broker, &self.rules)
    }

    /// A request for all partitions of this broker that want records, if there is one and room for the answer.
    pub(crate) fn next_request(&self, broker: BrokerId, now: Instant) -> Option<v1::FetchRequest> {
        let rules = &self.rules;
        let mut buffers = self.buffers.lock();
        let max_bytes = buffers.room(rules).min(rules.fetch_max_bytes);
        if max_bytes == 0 {
            return None;
        }
        let correlation_id = self.correlations.fetch_add(1, Ordering::Relaxed);
        let per_partition = to_u32(rules.partition_max_bytes.min(max_bytes));
        let wanting = buffers.partitions.iter_mut().filter(|partition| {
            partition.leader.is_some_and(|(leader, _)| leader == broker)
                && partition.wants_fetch(now, rules.partition_max_bytes)
        });
        let partitions: Vec<_> =
            wanting.map(|partition| partition.request(correlation_id, now, per_partition)).collect();
        if partitions.is_empty() {
            return None;
        }
        buffers.promised.insert(correlation_id, max_bytes.min(partitions.len() * rules.partition_max_bytes));
        Some(v1::FetchRequest {
            correlation_id,
            partitions,
            max_wait_ms: to_u32(usize::try_from(rules.max_wait.as_millis()).unwrap_or(usize::MAX)),
            min_bytes: rules.min_bytes,
            max_bytes: to_u32(max_bytes),
        })
    }

    /// Takes an answer in; true if the metadata should be refreshed.
    pub(crate) fn take_answer(&self, lane: &FetchLane, answer: v1::FetchResponse, now: Instant) -> bool {
        let correlation = answer.correlation_id;
        for part in &answer.partitions {
            self.note_leadership(lane, part, now);
        }
        self.update(|buffers| {
            buffers.promised.remove(&correlation);
            let is_out = |fetch: &PartitionFetch| fetch.out.is_some_and(|out| out.correlation == correlation);
            let mut refresh = false;
            for part in answer.partitions {
                let is_it = |fetch: &PartitionFetch| {
                    fetch.partition.0 == part.partition && *fetch.topic == *part.topic && is_out(fetch)
                };
                let Some(index) = buffers.partitions.iter().position(is_it) else { continue };
                let reaction = buffers.partitions[index].answer(part, self.rules.gaps, now);
                refresh |= reaction.refresh;
                if reaction.ready {
                    buffers.set_ready(index);
                }
            }
            for fetch in buffers.partitions.iter_mut().filter(|fetch| is_out(fetch)) {
                fetch.out = None;
            }
            refresh
        })
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

    /// Forgets what is out at this broker: its stream is over.
    pub(crate) fn forget(&self, broker: BrokerId, correlations: impl IntoIterator<Item = u64>) {
        self.update(|buffers| {
            for correlation in correlations {
                buffers.promised.remove(&correlation);
            }
            let of_broker = |fetch: &&mut PartitionFetch| fetch.leader.is_some_and(|(leader, _)| leader == broker);
            for fetch in buffers.partitions.iter_mut().filter(of_broker) {
                fetch.out = None;
            }
        });
    }
}

impl Buffers {
    /// Notes that the partition has something to hand out.
    pub(crate) fn set_ready(&mut self, index: usize) {
        if self.partitions[index].is_ready() && !self.ready.contains(&index) {
            self.ready.push_back(index);
        }
    }

    /// As [`Shared::retry_at`]. Without room there is no time: `take` wakes the lanes when there is some again.
    fn retry_at(&self, broker: BrokerId, rules: &Rules) -> Option<Instant> {
        if self.room(rules) == 0 {
            return None;
        }
        let of_broker = self.partitions.iter().filter(|fetch| fetch.leader.is_some_and(|(leader, _)| leader == broker));
        of_broker.filter_map(|fetch| fetch.retry_at(rules.partition_max_bytes)).min()
    }

    /// Bytes that may still be asked for.
    fn room(&self, rules: &Rules) -> usize {
        let buffered: usize = self.partitions.iter().map(|partition| partition.buffered_bytes).sum();
        let promised: usize = self.promised.values().sum();
        rules.prefetch_bytes.saturating_sub(buffered + promised)
    }
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use holdfast_proto::{
        convert,
        detail::ErrorDetail,
        ids::{LeaderEpoch, Offset},
    };

    use super::*;

    const BROKER: BrokerId = BrokerId(1);
    const RULES: Rules = Rules {
        max_wait: Duration::ZERO,
        min_bytes: 1,
        fetch_max_bytes: 100,
        partition_max_bytes: 100,
        prefetch_bytes: 100,
        request_timeout: Duration::ZERO,
        gaps: Gaps::AreErrors,
        limits: DecodeLimits { max_decompressed_bytes: 1, max_built_bytes: 1 },
    };

    #[test]
    fn a_lane_without_room_does_not_wait_for_the_time_of_a_refused_partition() {
        let now = Instant::now();
        let mut fetch = PartitionFetch::new(Arc::from("t"), Bytes::new(), PartitionIndex(0), Offset(0));
        fetch.leader = Some((BROKER, LeaderEpoch(0)));
        let error = Some(convert::partition_error(ErrorDetail::from(ErrorCode::OffsetNotAvailable)));
        fetch.answer(v1::FetchedPartition { error, ..Default::default() }, Gaps::AreErrors, now);
        let mut buffers = Buffers { partitions: vec![fetch], ..Buffers::default() };
        assert!(buffers.retry_at(BROKER, &RULES).is_some());
        buffers.promised.insert(7, RULES.prefetch_bytes);
        assert_eq!(buffers.retry_at(BROKER, &RULES), None, "it would be over at once, again and again");
    }
}
