//! What can be broken: processes, disks, connections.

use uuid::Uuid;

use holdfast_metadata::PartitionState;
use holdfast_proto::ids::{BrokerId, DirectoryId};

use super::{state::World, upcoming::Upcoming};
use crate::sim::{disk::Crash, message::Node};

impl World {
    /// Ends a broker's process; it starts again after a while.
    pub fn crash(&mut self, id: BrokerId, crash: Crash, restart_after_ms: u64) {
        // A folder that was put back and starts often enough before it registers is not told from a new one yet: its
        // count of starts alone says that it is old.
        let must_register_first = self.disk_fault.is_some_and(|(faulty, _)| faulty == id);
        let Some((_, broker)) = self.running.get(&id) else { return };
        if must_register_first && !broker.is_registered() {
            return;
        }
        self.running.remove(&id);
        self.paused.remove(&id);
        self.writing.retain(|(broker, _)| *broker != id);
        self.flush_due.retain(|(broker, _)| *broker != id);
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        self.coverage.records_forgotten += disk.crash(crash);
        for other in self.others(id) {
            self.network.reset(Node::Broker(id), other);
            self.notice_broken(other, Node::Broker(id));
        }
        self.later(restart_after_ms, Upcoming::Start(id));
        if self.rng.bool() {
            self.copies.insert(id, self.disks[&id].clone());
        }
    }

    /// A process stands still, and goes on as if nothing had been.
    pub fn pause(&mut self, id: BrokerId, for_ms: u64) {
        // Not while it stands still already: what waits is put back in order only for one end of the pause.
        let stands_still = self.paused.get(&id).is_some_and(|until_ms| *until_ms > self.now_ms);
        if self.running.contains_key(&id) && !stands_still {
            self.coverage.pauses += 1;
            self.paused.insert(id, self.now_ms + for_ms);
        }
    }

    /// Ends a broker whose disk is then lost, or put back to a copy that was made before its last registration. Once in
    /// a run, and only where every acknowledged record stands on a second disk.
    pub fn break_disk(&mut self, id: BrokerId, restart_after_ms: u64) {
        // A topic may have fewer replicas than its setting wants in sync, or have had them until its move is over.
        let stands_twice = |state: &PartitionState| state.isr.len() > 1 && !state.is_moving();
        let is_allowed = self.disk_fault.is_none()
            && self.topics.values().all(|min_isr| *min_isr > 1)
            && self.controller.image().partitions().all(|(_, _, state)| stands_twice(state));
        let registered = self.running.get(&id).filter(|(_, broker)| broker.is_registered());
        let Some(incarnation) = registered.map(|(_, broker)| broker.incarnation()).filter(|_| is_allowed) else {
            return;
        };
        let boot_counter = self.disks[&id].boot_counter;
        let copy = self.copies.remove(&id).filter(|copy| copy.boot_counter < boot_counter);
        self.crash(id, Crash::PowerLoss { done: 0, kept: 0 }, restart_after_ms);
        self.disk_fault = Some((id, incarnation));
        let earlier_starts = self.rng.u64(..6);
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        if let Some(copy) = copy {
            self.coverage.disks_restored += 1;
            disk.restore(&copy);
        } else {
            self.coverage.disks_lost += 1;
            let directory_id = DirectoryId(Uuid::from_u128(u128::from(id.0) << 64 | u128::from(self.starts)));
            disk.replace(directory_id, earlier_starts);
        }
    }

    /// A broker that is about to join an ISR starts again, or loses its disk, while the proposal is under way.
    pub(super) fn break_joiner(&mut self, id: BrokerId) {
        let restart_after_ms = 1 + self.rng.u64(..200);
        if self.rng.bool() {
            self.break_disk(id, restart_after_ms);
        } else if !self.shape.has_interval {
            self.crash(id, Crash::PowerLoss { done: 0, kept: 0 }, restart_after_ms);
        }
    }

    /// True if the controllers do not know yet that the broker's disk is not the one that it had.
    pub(super) fn is_untold_fault(&self, id: BrokerId) -> bool {
        let registered = self.controller.image().broker(id).map(|broker| broker.incarnation_id);
        self.disk_fault.is_some_and(|(faulty, before)| faulty == id && registered == Some(before))
    }

    /// Breaks a connection that is made again at once, or cuts the link until [`Self::mend`].
    pub fn disconnect(&mut self, a: Node, b: Node, cut: bool) {
        if cut {
            self.network.set_cut(a, b, true);
        } else {
            self.network.reset(a, b);
        }
        self.notice_broken(a, b);
    }

    /// Mends both directions of a link.
    pub fn mend(&mut self, a: Node, b: Node) {
        self.network.set_cut(a, b, false);
    }
}
