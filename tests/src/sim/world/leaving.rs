//! Brokers that leave in order: they ask the controllers to do without them, close their logs, and come back.

use holdfast_broker::partition::last_word::LastWord;
use holdfast_metadata::{AlterPartition, IsrChange, IsrMember};
use holdfast_proto::ids::{BrokerEpoch, BrokerId, TopicPartition};

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
        } else {
            // Its last message is answered before its process ends, or lost.
            let is_told = self.rng.u8(..4) > 0;
            let away_ms = 1 + self.rng.u64(..AWAY_MS);
            self.stop_in_order(id, start, is_told, away_ms);
        }
    }

    /// It closes its logs, tells the controllers what it knew as a leader and that it has stopped, and comes back after a
    /// while.
    pub(super) fn stop_in_order(&mut self, id: BrokerId, start: Start, is_told: bool, away_ms: u64) {
        let mut last_words = Vec::new();
        if !self.broker(id, start, |broker: &mut Broker, _, disk, out| last_words = broker.close_all(disk, out)) {
            return;
        }
        self.coverage.leaves += 1;
        let broker_epoch = self.running[&id].1.broker_epoch();
        if let Some(broker_epoch) = broker_epoch.filter(|_| is_told) {
            for word in last_words {
                self.tell_last_word(id, broker_epoch, word);
            }
            let mut out = Vec::new();
            let last = Message::Leave { broker_epoch, has_stopped: true };
            self.controller.receive(self.now(), id, last, 0, &mut out);
            self.controller_says(out);
        }
        self.crash(id, Crash::Kill { done: 0 }, away_ms);
    }

    /// Proposes it as the metadata is, or as the broker knows it, which may be old.
    fn tell_last_word(&mut self, id: BrokerId, own: BrokerEpoch, (tp, word): (TopicPartition, LastWord)) {
        let is_late = self.breaks_joiners && self.rng.bool();
        // One that makes the ISR small, and one that is kept.
        for _ in 0..2 {
            let image = if is_late { self.running[&id].1.image() } else { self.controller.image() };
            let Some(proposal) = word.proposal(image, tp, id) else { return };
            let epoch = |member| image.broker(member).map(|known| known.broker_epoch).unwrap_or_default();
            let member =
                |broker_id| IsrMember { broker_id, broker_epoch: if broker_id == id { own } else { epoch(broker_id) } };
            let change = IsrChange {
                topic_id: tp.topic_id,
                partition: tp.partition,
                leader_epoch: proposal.leader_epoch,
                partition_epoch: proposal.partition_epoch,
                new_isr: proposal.new_isr.iter().map(|(broker_id, _)| member(*broker_id)).collect(),
                high_watermark: proposal.high_watermark,
                high_watermark_epoch: proposal.high_watermark_epoch,
            };
            let alter = AlterPartition { broker_id: id, broker_epoch: own, changes: vec![change] };
            let before = self.controller.image().partition(tp).and_then(|state| state.frozen_high_watermark);
            let mut out = Vec::new();
            self.controller.receive(self.now(), id, Message::Alter(alter), 0, &mut out);
            self.controller_says(out);
            let after = self.controller.image().partition(tp).and_then(|state| state.frozen_high_watermark);
            self.coverage.last_words += u64::from(after > before);
        }
    }
}
