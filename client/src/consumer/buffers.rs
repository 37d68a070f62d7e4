//! The partitions of one consumer: what is asked for next, and what the caller gets next.
//!
//! Place: pure; [`super::shared`] keeps it under a lock.
//!
//! Invariants:
//! 1. Each broker that leads a partition has an equal share of the room for prefetched bytes, and no other broker's
//!    partitions take any of it. So a lane without room waits for its own answers, or for the caller to take what is in
//!    its share; nobody else has to wake it. A request that holds all that is left while other partitions of its broker may
//!    want some soon is soon answered, with records or without.
//! 2. A request names the partitions in the order in which they last brought records, those that waited longest first:
//!    a broker fills an answer in the order of its request, and one answer has not room for all.
//! 3. The caller gets batches of the partitions in turn.
//!
//! Failure: a broker that refuses a request as a whole, or whose answer cannot be taken in, does not say for which
//! partition's sake. What was out is then asked for again one partition after another, with nothing else out at that
//! broker; the one that is refused alone stops, and the others go on.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use holdfast_proto::{
    batch::DecodeLimits,
    detail::ErrorDetail,
    ids::{BrokerId, LeaderEpoch},
    limits::MAX_REQUEST_PARTITIONS,
    v1,
};

use super::{
    Error,
    partition::{Asked, Fetched, Gaps, PartitionFetch},
};

/// How long a broker may wait with an answer that others wait for.
pub(super) const SHORT_WAIT: Duration = Duration::from_millis(50);

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

/// The partitions, and what is out for them.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) partitions: Vec<PartitionFetch>,
    /// Indices of partitions with something to hand out, in turn.
    ready: VecDeque<usize>,
    /// Requests that are out, by correlation id.
    promised: BTreeMap<u64, Promise>,
    /// Brokers that lead partitions, each with how many.
    leaders: BTreeMap<BrokerId, usize>,
    /// Answers of single partitions that brought something.
    served: u64,
}

/// What an answer may bring.
#[derive(Clone, Copy, Debug)]
struct Promise {
    broker: BrokerId,
    bytes: usize,
    /// Partitions that it is of.
    partitions: usize,
}

impl Buffers {
    /// These partitions, whose leaders are not known yet.
    pub(super) fn new(partitions: Vec<PartitionFetch>) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// Gives the partition to this leader, if it is news; what is out at an old one is forgotten.
    pub(super) fn lead(&mut self, index: usize, broker: BrokerId, epoch: LeaderEpoch) -> bool {
        let fetch = &mut self.partitions[index];
        if fetch.leader.is_some_and(|(_, known)| known >= epoch) {
            return false;
        }
        let old = fetch.leader_id();
        (fetch.leader, fetch.out) = (Some((broker, epoch)), None);
        *self.leaders.entry(broker).or_default() += 1;
        if let Some(old) = old
            && let Some(count) = self.leaders.get_mut(&old)
        {
            *count -= 1;
            self.leaders.retain(|_, count| *count > 0);
        }
        true
    }

    /// Notes that the partition has something to hand out.
    pub(crate) fn set_ready(&mut self, index: usize) {
        if self.partitions[index].is_ready() && !self.ready.contains(&index) {
            self.ready.push_back(index);
        }
    }

    /// True if a partition may have something to hand out.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next batch or problem, each partition in its turn.
    pub(super) fn take(&mut self) -> Option<(usize, Result<Fetched, Error>)> {
        while let Some(index) = self.ready.pop_front() {
            let partition = &mut self.partitions[index];
            if !partition.is_ready() {
                continue;
            }
            let Some(item) = partition.take() else { continue };
            self.set_ready(index);
            return Some((index, item));
        }
        None
    }

    /// When a partition of this broker may be asked for again that was refused for now, if nothing else has to come first.
    /// Without room, or while one is asked for alone, there is no time: an answer, or who makes room, wakes the lane.
    pub(super) fn retry_at(&self, broker: BrokerId, rules: &Rules) -> Option<Instant> {
        if self.room(broker, rules) == 0 || self.waits_for_answers(broker) {
            return None;
        }
        let of_broker = self.partitions.iter().filter(|fetch| fetch.leader_id() == Some(broker));
        of_broker.filter_map(|fetch| fetch.retry_at(rules.partition_max_bytes)).min()
    }

    /// A request for all partitions of this broker that want records, if there is one and room for the answer.
    pub(super) fn next_request(
        &mut self,
        broker: BrokerId,
        correlation_id: u64,
        rules: &Rules,
        now: Instant,
    ) -> Option<v1::FetchRequest> {
        let room = self.room(broker, rules);
        let max_bytes = room.min(rules.fetch_max_bytes);
        if max_bytes == 0 || self.waits_for_answers(broker) {
            return None;
        }
        let wants = |fetch: &&mut PartitionFetch| {
            fetch.leader_id() == Some(broker) && fetch.wants_fetch(now, rules.partition_max_bytes)
        };
        let mut wanting: Vec<_> = self.partitions.iter_mut().filter(wants).collect();
        if wanting.is_empty() {
            return None;
        }
        wanting.sort_by_key(|fetch| fetch.served); // stable: in the order of assignment where none was served yet
        let alone = wanting.iter().position(|fetch| fetch.asked == Asked::Alone);
        if let Some(alone) = alone {
            wanting.swap(0, alone);
        }
        wanting.truncate(if alone.is_some() { 1 } else { MAX_REQUEST_PARTITIONS });
        let per_partition = rules.partition_max_bytes.min(max_bytes);
        let request = |fetch: &mut PartitionFetch| fetch.request(correlation_id, now, to_u32(per_partition));
        let partitions: Vec<_> = wanting.into_iter().map(request).collect();
        let bytes = max_bytes.min(partitions.len().saturating_mul(per_partition));
        self.promised.insert(correlation_id, Promise { broker, bytes, partitions: partitions.len() });
        let is_left_out = |fetch: &PartitionFetch| fetch.leader_id() == Some(broker) && fetch.may_want_fetch();
        let holds_others_up = (bytes >= room || alone.is_some()) && self.partitions.iter().any(is_left_out);
        let max_wait = if holds_others_up { rules.max_wait.min(SHORT_WAIT) } else { rules.max_wait };
        Some(v1::FetchRequest {
            correlation_id,
            partitions,
            max_wait_ms: to_u32(usize::try_from(max_wait.as_millis()).unwrap_or(usize::MAX)),
            min_bytes: rules.min_bytes,
            max_bytes: to_u32(max_bytes),
        })
    }

    /// Takes an answer in; true if the metadata should be refreshed.
    pub(super) fn take_answer(&mut self, answer: v1::FetchResponse, gaps: Gaps, now: Instant) -> bool {
        let correlation = answer.correlation_id;
        self.promised.remove(&correlation);
        let is_out = |fetch: &PartitionFetch| fetch.out.is_some_and(|out| out.correlation == correlation);
        let mut refresh = false;
        for part in answer.partitions {
            let is_it = |fetch: &PartitionFetch| {
                fetch.partition.0 == part.partition && *fetch.topic == *part.topic && is_out(fetch)
            };
            let Some(index) = self.partitions.iter().position(is_it) else { continue };
            if !part.batches.is_empty() {
                self.served += 1;
                self.partitions[index].served = self.served;
            }
            let reaction = self.partitions[index].answer(part, gaps, now);
            refresh |= reaction.refresh;
            if reaction.ready {
                self.set_ready(index);
            }
        }
        for fetch in self.partitions.iter_mut().filter(|fetch| is_out(fetch)) {
            fetch.out = None;
        }
        refresh
    }

    /// Stops every partition that is out at this broker with this problem: it takes no request at all.
    pub(super) fn fail_out(&mut self, broker: BrokerId, problem: &ErrorDetail) {
        for index in self.out_at(broker) {
            self.partitions[index].reject(problem.clone());
            self.set_ready(index);
        }
    }

    /// One of the requests that are out at this broker met this problem, and would again. Stops the partition that it is
    /// of if there is no other; else each of them is asked for alone from now on, until it is answered.
    pub(super) fn single_out(&mut self, broker: BrokerId, problem: &ErrorDetail) {
        let promised = self.promised.values().filter(|promise| promise.broker == broker);
        if promised.map(|promise| promise.partitions).sum::<usize>() == 1 {
            return self.fail_out(broker, problem);
        }
        for index in self.out_at(broker) {
            self.partitions[index].asked = Asked::Alone;
        }
    }

    /// The partitions that are out at this broker.
    fn out_at(&self, broker: BrokerId) -> Vec<usize> {
        let is_out = |fetch: &PartitionFetch| fetch.leader_id() == Some(broker) && fetch.out.is_some();
        (0..self.partitions.len()).filter(|index| is_out(&self.partitions[*index])).collect()
    }

    /// True while nothing more may be asked of this broker: one that is asked for alone has nothing beside it.
    fn waits_for_answers(&self, broker: BrokerId) -> bool {
        let is_waited_for = |fetch: &PartitionFetch| {
            let is_of_it = fetch.asked == Asked::Alone && fetch.leader_id() == Some(broker);
            is_of_it && (fetch.out.is_some() || fetch.may_want_fetch())
        };
        self.partitions.iter().any(is_waited_for) && self.promised.values().any(|promise| promise.broker == broker)
    }

    /// Forgets what is out at this broker: its stream is over.
    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.promised.retain(|_, promise| promise.broker != broker);
        for fetch in self.partitions.iter_mut().filter(|fetch| fetch.leader_id() == Some(broker)) {
            fetch.out = None;
        }
    }

    /// Bytes of its share that may still be asked of this broker.
    fn room(&self, broker: BrokerId, rules: &Rules) -> usize {
        let share = (rules.prefetch_bytes / self.leaders.len().max(1)).max(1);
        let of_broker = self.partitions.iter().filter(|fetch| fetch.leader_id() == Some(broker));
        let buffered: usize = of_broker.map(|fetch| fetch.buffered_bytes).sum();
        let promised = self.promised.values().filter(|promise| promise.broker == broker);
        share.saturating_sub(buffered + promised.map(|promise| promise.bytes).sum::<usize>())
    }
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "buffers_tests.rs"]
mod tests;
