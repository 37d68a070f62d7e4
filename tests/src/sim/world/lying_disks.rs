//! Disks that lose what they had, all of it or some, or come back as they were.
//!
//! The promise allows for m - 1 of them at a time, of m = min.insync.replicas: a disk counts until all its replicas are in
//! sync again. So a fault is let in only if few enough others are open, and every partition keeps a whole replica that
//! may lead.

use uuid::Uuid;

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::{BrokerId, DirectoryId, TopicPartition};

use super::{state::World, upcoming::Upcoming};
use crate::sim::disk::Crash;

impl World {
    /// Keeps a copy of a disk as it is, also under a running process.
    pub fn copy_disk(&mut self, id: BrokerId) {
        self.copies.insert(id, self.disks[&id].clone());
    }

    /// Keeps a copy for [`Self::break_too_many_disks`].
    pub fn keep_copy(&mut self, id: BrokerId) {
        self.old_copies.insert(id, self.disks[&id].clone());
    }

    /// Something of a broker's disk is lost, for most of it once its process has ended.
    pub fn break_disk(&mut self, id: BrokerId, restart_after_ms: u64) {
        self.close_disk_faults();
        if !self.may_break(id) {
            return;
        }
        let registered = self.running.get(&id).filter(|(_, broker)| broker.is_registered());
        let Some((start, incarnation)) = registered.map(|(start, broker)| (*start, broker.incarnation())) else {
            return;
        };
        let held: Vec<TopicPartition> = self.disks[&id].logs.keys().copied().collect();
        let some = held.get(self.rng.usize(..held.len().max(1))).copied();
        let kind = self.rng.u8(..9);
        if let (0, Some(tp)) = (kind, some) {
            self.coverage.damage_found += 1;
            self.disk_faults.insert(id, incarnation);
            return self.later(0, Upcoming::Found(id, start, tp, DistrustReason::Damaged));
        }
        let boot_counter = self.disks[&id].boot_counter;
        // Of an interval topic what the kernel has counts already: the parts that are not at fault keep it.
        let crash = if self.shape.has_interval {
            Crash::Kill { done: usize::MAX }
        } else {
            Crash::PowerLoss { done: 0, kept: 0 }
        };
        self.crash(id, crash, restart_after_ms);
        let batches = self.rng.usize(..20);
        let (earlier_starts, by_file) = (self.rng.u64(..6), self.rng.bool());
        let copy = self.copies.remove(&id);
        let expected = self.controller.image().broker(id).and_then(|broker| broker.token);
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        match (kind, some, copy) {
            (1, Some(tp), _) => {
                disk.logs.remove(&tp);
                self.coverage.logs_vanished += 1;
            }
            (2, Some(tp), _) => {
                let log = disk.logs.get_mut(&tp).expect("it was just listed");
                if log.lose_end(batches) == 0 {
                    return;
                }
                disk.doubted.insert(tp);
                self.coverage.logs_cut += 1;
            }
            (3, Some(tp), _) => {
                disk.held = None;
                disk.logs.remove(&tp);
                self.coverage.lists_lost += 1;
            }
            (7, Some(tp), _) => {
                let log = disk.logs.get_mut(&tp).expect("it was just listed");
                match log.lose_beginning(batches, by_file) {
                    None => return,
                    Some(true) => _ = disk.distrusted.insert(tp, DistrustReason::Damaged),
                    Some(false) => _ = disk.doubted.insert(tp),
                }
                self.coverage.beginnings_lost += 1;
            }
            (4..=6, _, Some(copy)) => {
                // Below the files a copy shows nothing; then the tokens tell that it is old. One of just now looks whole.
                let is_of_now = expected.is_none_or(|expected| copy.tokens.contains(&expected));
                disk.restore(&copy, by_file);
                self.coverage.disks_restored += 1;
                self.coverage.disks_restored_within_a_start += u64::from(copy.boot_counter == boot_counter);
                self.coverage.copies_with_the_token += u64::from(is_of_now);
            }
            _ => {
                let directory_id = DirectoryId(Uuid::from_u128(u128::from(id.0) << 64 | u128::from(self.starts)));
                disk.replace(directory_id, earlier_starts);
                self.coverage.disks_lost += 1;
            }
        }
        self.disk_faults.insert(id, incarnation);
    }

    fn may_break(&self, id: BrokerId) -> bool {
        let open = self.disk_faults.len();
        let is_whole = |member: &BrokerId| *member != id && !self.disk_faults.contains_key(member);
        !self.disk_faults.contains_key(&id)
            && self.topics.values().all(|min_isr| open + 1 < *min_isr)
            && self
                .controller
                .image()
                .partitions()
                .all(|(_, _, state)| state.isr.iter().chain(&state.elr).any(is_whole))
    }

    /// A disk is whole again once all its replicas are in sync: what it lacked was copied.
    fn close_disk_faults(&mut self) {
        let untold: Vec<BrokerId> = self.disk_faults.keys().copied().filter(|id| self.is_untold_fault(*id)).collect();
        let image = self.controller.image();
        let is_in_sync = |id: &BrokerId| {
            image.partitions().all(|(_, _, state)| !state.replicas.contains(id) || state.isr.contains(id))
        };
        self.disk_faults.retain(|id, _| untold.contains(id) || !is_in_sync(id));
    }

    /// True if the controllers do not know yet that the broker's disk is not the one that it had.
    pub(super) fn is_untold_fault(&self, id: BrokerId) -> bool {
        let registered = self.controller.image().broker(id).map(|broker| broker.incarnation_id);
        self.disk_faults.get(&id).is_some_and(|before| registered == Some(*before))
    }

    /// True if this replica may lack records, and the controllers let it lead only after others: it said that it may, or it
    /// is on a disk of a moment ago, which looks whole, and started again.
    pub(super) fn is_in_doubt(&self, tp: TopicPartition, id: BrokerId) -> bool {
        let claim = self.controller.image().partition(tp).and_then(|state| state.claim(id));
        claim.is_some_and(|claim| claim.doubtful || self.disk_faults.contains_key(&id))
    }
}
