//! Brokers that leave in order: they ask the controllers to do without them, close their logs, and come back.

use holdfast_proto::ids::BrokerId;

use super::{
    state::World,
    upcoming::{Start, Upcoming},
};
use crate::sim::{broker::Broker, disk::Crash, message::Message};

/// How long a broker takes to leave at most, ms.
const LEAVE_MS: u64 = 1_500;
/// Longest time between two calls for what can be moved, ms.
const AGAIN_MS: u64 = 400;
/// How long it stays away at most, ms.
const AWAY_MS: u64 = 1_500;

impl World {
    /// A broker is told to stop.
    pub fn leave(&mut self, id: BrokerId) {
        let Some((start, broker)) = self.running.get(&id) else { return };
        let (start, is_registered) = (*start, broker.is_registered());
        if is_registered {
            let until_ms = self.now_ms + self.rng.u64(..LEAVE_MS);
            self.go_on_leaving(id, start, until_ms);
        }
    }

    /// It asks again, as the hand-over of the broker does, or its time is over.
    pub(super) fn go_on_leaving(&mut self, id: BrokerId, start: Start, until_ms: u64) {
        if self.now_ms < until_ms {
            if self.broker(id, start, |broker, _, _, out| broker.leave(out)) {
                let delay_ms = 1 + self.rng.u64(..AGAIN_MS);
                self.later(delay_ms, Upcoming::Leave(id, start, until_ms));
            }
        } else if self.broker(id, start, |broker: &mut Broker, _, disk, out| broker.close_all(disk, out)) {
            self.coverage.leaves += 1;
            // Its last message is answered before its process ends, or lost.
            let broker_epoch = self.running[&id].1.broker_epoch();
            if let Some(broker_epoch) = broker_epoch.filter(|_| self.rng.u8(..4) > 0) {
                let mut out = Vec::new();
                let last = Message::Leave { broker_epoch, has_stopped: true };
                self.controller.receive(self.now(), id, last, 0, &mut out);
                self.controller_says(out);
            }
            let away_ms = 1 + self.rng.u64(..AWAY_MS);
            self.crash(id, Crash::Kill { done: 0 }, away_ms);
        }
    }
}
