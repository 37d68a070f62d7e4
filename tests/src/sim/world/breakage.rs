//! What can be broken: processes, connections. Disks have a module of their own.

use holdfast_proto::ids::BrokerId;

use super::{state::World, upcoming::Upcoming};
use crate::sim::{disk::Crash, message::Node};

impl World {
    /// Ends a broker's process; it starts again after a while.
    pub fn crash(&mut self, id: BrokerId, crash: Crash, restart_after_ms: u64) {
        if self.running.remove(&id).is_none() {
            return;
        }
        self.paused.remove(&id);
        self.writing.retain(|(broker, _)| *broker != id);
        self.flush_due.retain(|(broker, _)| *broker != id);
        let now = self.now();
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        if matches!(crash, Crash::PowerLoss { .. }) {
            disk.machine.boot(now);
        }
        self.coverage.records_forgotten += disk.crash(crash);
        for other in self.others(id) {
            self.network.reset(Node::Broker(id), other);
            self.notice_broken(other, Node::Broker(id));
        }
        self.later(restart_after_ms, Upcoming::Start(id));
        if self.rng.bool() {
            self.copy_disk(id);
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

    /// A broker that is about to join an ISR starts again, or its disk loses something, while the proposal is under way.
    pub(super) fn break_joiner(&mut self, id: BrokerId) {
        let restart_after_ms = 1 + self.rng.u64(..200);
        if self.rng.bool() {
            self.break_disk(id, restart_after_ms);
        } else if !self.shape.has_interval {
            self.crash(id, Crash::PowerLoss { done: 0, kept: 0 }, restart_after_ms);
        }
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
