//! What must hold of every history, whatever happened: the promise as checks.
//!
//! | check | promise | anomaly it finds |
//! |---|---|---|
//! | [`Oracle::acked`] | P1, P2 | two acknowledged batches at one offset; an ack that too few hold, or not all that may lead |
//! | [`Oracle::joins`] | P1 | a member of the ISR that lacks something acknowledged |
//! | [`Oracle::readable`] | P2 | a record that changed after a consumer could read it |
//! | [`Oracle::acked_by_leader`] | no ack of a leader alone past its lease | an ack of one that may have been replaced |
//! | [`Oracle::final_log`] | P1, P3 | lost, duplicated or reordered records at the end |
//! | [`Oracle::final_outcomes`] | what the producer was told | a batch that was told to be there and is not, or the reverse |
//! | [`Oracle::leads`] | one leader per epoch | split brain; a start that leads an epoch which an earlier one led |
//! | [`Oracle::deletes`] | nothing that counts is deleted | a deletion of what is in sync or eligible |
//!
//! | [`Oracle::begins`] | P1 | a log that begins behind what retention was ever asked to take |
//!
//! What retention took is asked for no more: a log is held against the promises from its own start on, and that is no later
//! than retention was asked to go.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use holdfast_client::simulation::Ended;
use holdfast_metadata::PartitionState;
use holdfast_proto::ids::{BrokerId, IncarnationId, LeaderEpoch, TopicPartition};

use super::{
    batch::{BatchId, SimBatch},
    disk::{Disk, SimLog},
};

/// Everything that was promised so far.
#[derive(Debug, Default)]
pub struct Oracle {
    acked: BTreeMap<TopicPartition, BTreeMap<u64, BatchId>>,
    /// What consumers could read: base offset, next offset, and which batch.
    seen: BTreeMap<TopicPartition, BTreeMap<u64, (u64, BatchId)>>,
    leaders: BTreeMap<(TopicPartition, LeaderEpoch), Leadership>,
    /// Up to which offset retention was asked to take records, at the most.
    retained_to: BTreeMap<TopicPartition, u64>,
}

/// Who leads a partition in one leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The broker that leads.
    pub broker: BrokerId,
    /// The start of its process.
    pub incarnation: IncarnationId,
    /// The opening of its log.
    pub log: u64,
}

/// Who holds a batch at the moment of its acknowledgement.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Disks that have it, as durably as the topic asks.
    pub copies: usize,
    /// Copies that it needs: the lowest min ISR that the topic ever had.
    pub needed: usize,
    /// Members of the committed ISR and ELR, any of which may lead next, that have it not.
    pub lacking: Vec<BrokerId>,
}

impl Held {
    /// What disks and the committed state say of a batch; `needed` copies there have to be, and `durable` ones unless
    /// topics count what is written. `is_excused`: its disk is lost, and the controllers do not know yet.
    pub fn of(
        (tp, offset, id): (TopicPartition, u64, BatchId),
        disks: &BTreeMap<BrokerId, Disk>,
        state: &PartitionState,
        (needed, durable): (usize, bool),
        is_excused: impl Fn(BrokerId) -> bool,
    ) -> Self {
        let holds = |disk: &Disk| disk.logs.get(&tp).is_some_and(|log| log.holds(offset, id, durable));
        let lacks = |member: &BrokerId| !is_excused(*member) && !disks.get(member).is_some_and(holds);
        let members = state.isr.iter().chain(&state.elr).copied();
        Self {
            copies: disks.values().filter(|disk| holds(disk)).count(),
            needed,
            lacking: members.filter(lacks).collect(),
        }
    }
}

impl Oracle {
    /// Number of batches that were acknowledged.
    pub fn acked_count(&self) -> usize {
        self.acked.values().map(BTreeMap::len).sum()
    }

    /// A produce with acks=all was answered.
    pub fn acked(&mut self, tp: TopicPartition, offset: u64, id: BatchId, held: &Held) {
        let Held { copies, needed, lacking } = held;
        assert!(copies >= needed, "{id:?} was acknowledged at {offset} with {copies} durable copies, not {needed}");
        assert!(lacking.is_empty(), "{id:?} was acknowledged at {offset}, and {lacking:?}, who may lead, lack it");
        let before = self.acked.entry(tp).or_default().insert(offset, id);
        assert!(
            before.is_none_or(|before| before == id),
            "{id:?} was acknowledged at {offset}, where {before:?} was before"
        );
    }

    /// A broker was taken into the ISR: from now on it may lead, so its log holds everything that was acknowledged, as
    /// `durable` as the topic asks.
    pub fn joins(&self, tp: TopicPartition, broker: BrokerId, log: Option<&SimLog>, durable: bool) {
        for (offset, id) in self.acked.get(&tp).into_iter().flatten() {
            let is_held = log.is_some_and(|log| log.holds(*offset, *id, durable));
            assert!(
                is_held,
                "broker {broker} joins the ISR of {tp} without {id:?}, which was acknowledged at {offset}"
            );
        }
    }

    /// A produce with acks=1 was answered at `now_ms`: before `lease_end_ms`, when another may lead as far as the
    /// controllers know.
    pub fn acked_by_leader(&mut self, tp: TopicPartition, id: BatchId, now_ms: u64, lease_end_ms: u64) {
        assert!(
            now_ms < lease_end_ms,
            "{id:?} of {tp} was acknowledged by its leader alone at {now_ms}, past its lease at {lease_end_ms}"
        );
    }

    /// A replica begins to lead in this epoch.
    pub fn leads(&mut self, tp: TopicPartition, epoch: LeaderEpoch, now: Leadership) {
        if let Some(before) = self.leaders.insert((tp, epoch), now) {
            panic!("{tp} is led twice in epoch {epoch}: {before:?}, then {now:?}");
        }
    }

    /// Consumers may read `batches` below `end` from a leader: they never change again, until retention takes the first.
    pub fn readable(&mut self, tp: TopicPartition, batches: &[SimBatch], end: u64) {
        let Some(start) = batches.first().map(|batch| batch.placed.base_offset.0) else { return };
        let seen = self.seen.entry(tp).or_default();
        let mut known = seen.range(start..).peekable();
        let mut new = Vec::new();
        for batch in batches.iter().take_while(|batch| batch.next_offset().0 <= end) {
            let (base, next) = (batch.placed.base_offset.0, batch.next_offset().0);
            match known.next_if(|(before, _)| **before < next) {
                Some((before, (end, id))) => {
                    let (before, now) = ((*before, *id), (base, batch.id));
                    assert!(
                        before == now && *end == next,
                        "a consumer read {before:?} of {tp}, and now {now:?} stands there"
                    );
                }
                None => new.push((base, (next, batch.id))),
            }
        }
        seen.extend(new);
    }

    /// A broker deletes its replica: it must not count for anything, neither as in sync nor as eligible.
    pub fn deletes(&self, tp: TopicPartition, broker: BrokerId, state: Option<&PartitionState>) {
        let counts = state.is_some_and(|state| state.isr.contains(&broker) || state.elr.contains(&broker));
        assert!(!counts, "broker {broker} deletes its replica of {tp}, which counts as in sync or eligible: {state:?}");
    }

    /// An operator lets the partition go on with this log. What was promised and does not stand there is promised no more;
    /// the offsets of what had been acknowledged.
    pub fn give_up(&mut self, tp: TopicPartition, batches: &[SimBatch]) -> Vec<u64> {
        let log: BTreeMap<u64, BatchId> = batches.iter().map(|batch| (batch.placed.base_offset.0, batch.id)).collect();
        let mut given_up = Vec::new();
        self.acked.entry(tp).or_default().retain(|offset, id| {
            let stands = log.get(offset) == Some(&*id);
            if !stands {
                given_up.push(*offset);
            }
            stands
        });
        self.seen.entry(tp).or_default().retain(|offset, (_, id)| log.get(offset) == Some(&*id));
        given_up
    }

    /// A leader is asked to take what lies below `to`.
    pub fn retains(&mut self, tp: TopicPartition, to: u64) {
        let retained_to = self.retained_to.entry(tp).or_default();
        *retained_to = to.max(*retained_to);
    }

    /// A replica's log begins at `start`: nothing but retention takes the beginning of a log.
    pub fn begins(&self, tp: TopicPartition, broker: BrokerId, start: u64) {
        let retained_to = self.retained_to.get(&tp).copied().unwrap_or_default();
        assert!(
            start <= retained_to,
            "LOST: broker {broker} holds {tp} from {start} on, and retention was asked to take it up to {retained_to}"
        );
    }

    /// What a producer was told of its batches, against the log. Without `is_all` delivered batches may be lost with their
    /// leader.
    pub fn final_outcomes(
        &self,
        tp: TopicPartition,
        start: u64,
        batches: &[SimBatch],
        is_all: bool,
        ended: impl Iterator<Item = (BatchId, Ended)>,
    ) {
        let mut stands: BTreeSet<BatchId> = batches.iter().map(|batch| batch.id).collect();
        // What retention took stood there.
        stands.extend(within(&self.acked, tp, 0..start).map(|(_, id)| *id));
        stands.extend(within(&self.seen, tp, 0..start).map(|(_, (_, id))| *id));
        for (id, ended) in ended {
            let is_there = stands.contains(&id);
            match ended {
                Ended::Delivered if is_all => assert!(is_there, "LOST: {id:?} of {tp} was told to be delivered"),
                Ended::NotAppended => assert!(!is_there, "{id:?} was told not to be appended, and stands in {tp}"),
                Ended::Delivered | Ended::InDoubt => {}
            }
        }
    }

    /// The log that every replica holds once all faults have ended; a leader's log at any time.
    pub fn final_log(&self, tp: TopicPartition, start: u64, batches: &[SimBatch]) {
        self.log_up_to(tp, start, batches, u64::MAX);
    }

    /// A log that begins at `start`, against all that was promised below `end`.
    pub fn log_up_to(&self, tp: TopicPartition, start: u64, batches: &[SimBatch], end: u64) {
        let log: BTreeMap<u64, BatchId> = batches.iter().map(|batch| (batch.placed.base_offset.0, batch.id)).collect();
        let offsets = start..end.max(start);
        for (offset, id) in within(&self.acked, tp, offsets.clone()) {
            assert!(
                log.get(offset) == Some(id),
                "LOST: {id:?} was acknowledged at {offset} of {tp}; there stands {:?}",
                log.get(offset)
            );
        }
        for (offset, (_, id)) in within(&self.seen, tp, offsets) {
            assert!(
                log.get(offset) == Some(id),
                "a consumer read {id:?} at {offset} of {tp}; there stands {:?}",
                log.get(offset)
            );
        }
        let mut once = BTreeSet::new();
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for (offset, id) in &log {
            assert!(once.insert(id), "DUPLICATED: {id:?} stands at {offset} of {tp} and before");
            if let Some(before) = last.insert(id.producer, id.counter) {
                assert!(before < id.counter, "REORDERED: {id:?} stands at {offset} of {tp} after #{before}");
            }
        }
    }
}

/// What was promised of some offsets of a partition.
fn within<T>(
    promised: &BTreeMap<TopicPartition, BTreeMap<u64, T>>,
    tp: TopicPartition,
    offsets: Range<u64>,
) -> impl Iterator<Item = (&u64, &T)> {
    promised.get(&tp).into_iter().flat_map(move |batches| batches.range(offsets.clone()))
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
