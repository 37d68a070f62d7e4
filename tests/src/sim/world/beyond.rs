//! More disks at fault at one time than the promise allows for: min ISR of them, or all.
//!
//! Acknowledged records may be lost then, but never in silence. Either nothing is lost, or the partition has no leader, and
//! its state names the replicas that are not believed, until an operator recovers it. What that gives up is on record: nothing
//! below the end that the chosen replica had claimed, but where an old copy holds what was replaced since.
//!
//! Left out is what no disk can show of itself: a copy of a moment ago, which has the last token, and a log that lost its end
//! with all that told of it. Of min ISR such disks at a time each speaks for the others.

use uuid::Uuid;

use holdfast_metadata::{Command, RecoverPartition, Response, trust::DistrustReason};
use holdfast_proto::ids::{BrokerId, DirectoryId, Offset, TopicPartition};

use super::{state::World, upcoming::Upcoming};
use crate::sim::disk::Crash;

/// How long all run before an operator looks, ms: sessions, registrations and elections are over by then.
const SETTLE_MS: u64 = 6_000;
/// How often an operator recovers what has no leader.
const RECOVERIES_MAX: usize = 3;

/// How a partition came through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beyond {
    /// Partitions that had a leader by themselves: nothing was lost.
    pub went_on: u64,
    /// Partitions that an operator recovered.
    pub recovered: u64,
    /// Of these, those that lost something acknowledged.
    pub lost: u64,
    /// Acknowledged batches that were given up.
    pub given_up: u64,
}

impl Beyond {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.went_on += other.went_on;
        self.recovered += other.recovered;
        self.lost += other.lost;
        self.given_up += other.given_up;
    }
}

impl World {
    /// So many disks lose something at once that no promise is left. All brokers end, or these alone.
    pub fn break_too_many_disks(&mut self) {
        let mut brokers: Vec<BrokerId> = self.shape.brokers().map(BrokerId).collect();
        self.rng.shuffle(&mut brokers);
        let least = self.topics.values().copied().max().unwrap_or(1);
        let broken = self.rng.usize(least..=brokers.len());
        let all_end = self.rng.bool();
        for (number, id) in brokers.into_iter().enumerate() {
            let is_broken = number < broken;
            let restart_after_ms = self.rng.u64(1..1_500);
            if is_broken || all_end {
                self.crash(id, Crash::Kill { done: 2 }, restart_after_ms);
            }
            if is_broken {
                self.break_disk_for_all_to_see(id);
            }
        }
    }

    /// Something is lost that the next start, or the controllers, cannot overlook.
    fn break_disk_for_all_to_see(&mut self, id: BrokerId) {
        let held: Vec<TopicPartition> = self.disks[&id].logs.keys().copied().collect();
        let registered = self.controller.image().broker(id).cloned();
        let expected = registered.as_ref().and_then(|broker| broker.token);
        let copy = self.old_copies.get(&id).filter(|copy| expected.is_some_and(|token| !copy.tokens.contains(&token)));
        let (copy, by_file) = (copy.cloned(), self.rng.bool());
        let directory_id = DirectoryId(Uuid::from_u128(u128::from(id.0) << 64 | 0xB000 | u128::from(self.starts)));
        let kind = self.rng.u8(..5);
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        match (kind, copy) {
            (0, _) => held.iter().for_each(|tp| drop(disk.logs.remove(tp))),
            (1, _) => held.iter().for_each(|tp| _ = disk.distrusted.insert(*tp, DistrustReason::Damaged)),
            (2 | 3, Some(copy)) => disk.restore(&copy, by_file),
            _ => disk.replace(directory_id, 0),
        }
        // Until it registers the controllers do not know.
        if let Some(registered) = registered {
            self.disk_faults.insert(id, registered.incarnation_id);
        }
    }

    /// Everything runs, and partitions that can go on do. Then an operator recovers what has no leader, and all is held against what
    /// was promised, but for what that gave up.
    pub fn recover_and_audit(mut self) -> Beyond {
        let mut beyond = Beyond::default();
        self.end_faults();
        for id in self.shape.brokers().map(BrokerId).collect::<Vec<_>>() {
            self.later(2_000, Upcoming::Start(id));
        }
        self.run_until(self.now_ms + SETTLE_MS);
        for tp in self.partitions() {
            if let Some(leader) = self.leader(tp) {
                let log = &self.disks[&leader].logs[&tp];
                self.oracle.log_up_to(tp, log.start(), log.batches(), u64::MAX);
                beyond.went_on += 1;
            }
        }
        // Who ends while it makes its replica again is not believed once more: then he is asked again.
        for _ in 0..RECOVERIES_MAX {
            for tp in self.given_up_on() {
                beyond.recovered += u64::from(!self.recovered.contains(&tp));
                let given_up = self.recover(tp);
                beyond.lost += u64::from(given_up > 0);
                beyond.given_up += given_up;
            }
            self.run_until(self.now_ms + SETTLE_MS);
        }
        self.heal_and_audit();
        beyond
    }

    /// Partitions without a leader that wait for nobody who is merely away.
    fn given_up_on(&self) -> Vec<TopicPartition> {
        let image = self.controller.image();
        let is_away = |id: &BrokerId| image.broker(*id).is_none_or(|broker| broker.fenced);
        let waits = |tp: TopicPartition| image.partition(tp).is_some_and(|state| state.elr.iter().any(is_away));
        self.partitions().into_iter().filter(|tp| self.leader(*tp).is_none() && !waits(*tp)).collect()
    }

    fn leader(&self, tp: TopicPartition) -> Option<BrokerId> {
        self.controller.image().partition(tp).and_then(|state| state.leader)
    }

    /// Returns how many acknowledged batches are given up.
    fn recover(&mut self, tp: TopicPartition) -> u64 {
        let state = self.controller.image().partition(tp).expect("it was just listed").clone();
        assert!(!state.distrusted.is_empty(), "SILENT: {tp} has no leader, and nobody is named: {state:?}");
        let alive = |id: &&BrokerId| self.controller.image().broker(**id).is_some_and(|broker| !broker.fenced);
        // As the command shows them: who does not vouch for its replica keeps nothing of it.
        let keeps = |id: &BrokerId| {
            let distrust = state.distrusted.iter().find(|distrust| distrust.broker_id == *id);
            distrust.is_none_or(|distrust| matches!(distrust.reason, DistrustReason::Folder | DistrustReason::Short))
        };
        let reach = |id: &BrokerId| state.claim(*id).filter(|_| keeps(id)).map(|claim| (claim.leader_epoch, claim.end));
        let chosen = state.replicas.iter().filter(alive).max_by_key(|id| reach(id)).copied();
        let broker_id = chosen.expect("all brokers run");
        let command = RecoverPartition {
            topic_id: tp.topic_id,
            partition: tp.partition,
            broker_id,
            partition_epoch: state.partition_epoch,
            at_ms: self.now_ms,
        };
        let Ok(Response::PartitionRecovered { recovery }) = self.execute(&Command::RecoverPartition(command)) else {
            panic!("{tp} is not recovered: {state:?}")
        };
        assert!(self.controller.image().recoveries().contains(&recovery), "the recovery is not on record");
        self.recovered.insert(tp);
        // Who does not vouch for its replica begins again, empty.
        let log = self.disks[&broker_id].logs.get(&tp).filter(|_| recovery.end.is_some_and(|end| end > Offset(0)));
        let batches = log.map_or(&[][..], |log| log.batches());
        let given_up = self.oracle.give_up(tp, batches);
        let end = recovery.end.map_or(0, |end| end.0);
        // An old copy may hold something else there, which a later leader had cut: its end alone is on record.
        let is_other = |offset: u64| batches.iter().any(|batch| batch.next_offset().0 > offset);
        let unsaid = given_up.iter().find(|offset| **offset < end && !is_other(**offset));
        assert!(unsaid.is_none(), "SILENT: {tp} loses what stood at {unsaid:?}, below the end on record: {recovery:?}");
        given_up.len() as u64
    }
}
