//! What brokers, the controller and the network want done.

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::{BrokerId, TopicPartition};
use holdfast_replication::BEGINS_LATE;

use super::{
    state::World,
    upcoming::{Start, Upcoming},
};
use crate::sim::{
    broker::Outgoing,
    controller::TIMEOUTS,
    message::{Message, Node},
    oracle::{Held, Leadership},
};

/// How late a proposal is whose joiner breaks meanwhile, ms: enough for it to start and register.
const LATE_PROPOSAL_MS: u64 = 400;

impl World {
    pub(super) fn carry_out(&mut self, id: BrokerId, start: Start, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send(to, message) => self.send(Node::Broker(id), to, message),
            Outgoing::Work(tp) => self.work(id, start, tp),
            Outgoing::Open(tp) => {
                let delay_ms = self.rng.u64(..30);
                self.later(delay_ms, Upcoming::Opened(id, start, tp));
            }
            Outgoing::Delete(tp) => {
                let delay_ms = self.rng.u64(..60);
                self.later(delay_ms, Upcoming::Deleted(id, start, tp));
            }
            Outgoing::Acked(tp, offset, batch) => {
                // Of a topic that is deleted nothing is promised any more.
                let image = self.controller.image();
                let Some(state) = image.partition(tp) else { return };
                // The copies count as well that disk faults have taken since.
                let lost = self.disk_faults.len();
                let needed = self.topics.get(&tp.topic_id).map_or(0, |min_isr| min_isr.saturating_sub(lost));
                let held =
                    Held::of((tp, offset, batch), &self.disks, state, (needed, !self.shape.has_interval), |id| {
                        self.is_untold_fault(id) || self.is_in_doubt(tp, id)
                    });
                self.oracle.acked(tp, offset, batch, &held);
            }
            Outgoing::AckedByLeader(tp, batch) => {
                let heard = self.controller.last_heard(id).map_or(0, |heard| heard.0);
                self.oracle.acked_by_leader(tp, batch, self.now_ms, heard + TIMEOUTS.session_ms);
                self.coverage.acked_by_leader += 1;
            }
            Outgoing::Readable(tp) => {
                let end = self.running.get(&id).and_then(|(_, broker)| broker.readable_end(tp));
                if let Some((end, log)) = end.zip(self.disks[&id].logs.get(&tp)) {
                    self.oracle.readable(tp, log.batches(), end.0);
                }
            }
            Outgoing::Leads(tp, epoch, log) => {
                let incarnation = self.running[&id].1.incarnation();
                self.oracle.leads(tp, epoch, Leadership { broker: id, incarnation, log });
            }
            Outgoing::LeaseEnded => self.coverage.leases_ended += 1,
            // Its leader lacks what this one knows to be acknowledged: an operator gave that up.
            Outgoing::Halted(tp, _) if self.recovered.contains(&tp) => {
                self.later(0, Upcoming::Found(id, start, tp, DistrustReason::Halted));
            }
            Outgoing::Halted(tp, BEGINS_LATE) => {
                self.coverage.stopped_late += 1;
                self.later(0, Upcoming::Found(id, start, tp, DistrustReason::Halted));
            }
            Outgoing::Halted(tp, reason) => panic!("the replica of {tp} on {id} halted: {reason}"),
            Outgoing::Renewed => self.coverage.renewed += 1,
            Outgoing::ClosedStray => panic!("broker {id} closes a stray, though no state has gone back"),
        }
    }

    /// The members that a proposal would add to an ISR.
    pub(super) fn joining(&self, message: &Message) -> Vec<(TopicPartition, BrokerId)> {
        let Message::Alter(alter) = message else { return Vec::new() };
        let mut joining = Vec::new();
        for change in &alter.changes {
            let tp = TopicPartition { topic_id: change.topic_id, partition: change.partition };
            let Some(state) = self.controller.image().partition(tp) else { continue };
            let new = change.new_isr.iter().map(|member| member.broker_id).filter(|id| !state.isr.contains(id));
            joining.extend(new.map(|id| (tp, id)));
        }
        joining
    }

    /// Those of them that were taken in hold what was acknowledged.
    pub(super) fn check_joined(&self, joining: &[(TopicPartition, BrokerId)]) {
        for (tp, id) in joining {
            let is_in = self.controller.image().partition(*tp).is_some_and(|state| state.isr.contains(id));
            if is_in && !self.is_untold_fault(*id) {
                self.oracle.joins(*tp, *id, self.disks[id].logs.get(tp), !self.shape.has_interval);
            }
        }
    }

    pub(super) fn check_deletion(&self, id: BrokerId, tp: TopicPartition) {
        self.oracle.deletes(tp, id, self.controller.image().partition(tp));
    }

    pub(super) fn controller_says(&mut self, out: Vec<(Node, Message)>) {
        for (to, message) in out {
            self.send(Node::Controller, to, message);
        }
    }

    pub(super) fn send(&mut self, from: Node, to: Node, message: Message) {
        let mut delay_ms =
            1 + if self.rng.u8(..30) == 0 { self.rng.u64(..self.shape.slow_link_ms) } else { self.rng.u64(..5) };
        // What a proposal says of a joiner is true when it is sent, and perhaps no more when it comes.
        if self.breaks_joiners
            && let Some((_, joiner)) = self.joining(&message).first().copied()
            && self.rng.u8(..16) == 0
        {
            delay_ms += LATE_PROPOSAL_MS;
            self.later(1, Upcoming::BreakJoiner(joiner));
        }
        match self.network.send(self.now_ms, delay_ms, from, to, message) {
            Some((at_ms, delivery)) => self.later(at_ms - self.now_ms, Upcoming::Deliver(delivery)),
            // Not within this: what else is being sent comes first.
            None => self.later(0, Upcoming::NoConnection(from, to)),
        }
    }

    /// Both ends of a broken connection notice.
    pub(super) fn notice_broken(&mut self, a: Node, b: Node) {
        for (here, there) in [(a, b), (b, a)] {
            match (here, there) {
                (Node::Broker(id), Node::Broker(peer)) => {
                    if let Some((start, _)) = self.running.get(&id) {
                        let start = *start;
                        // At once: whatever comes over the next connection comes after it.
                        self.later(0, Upcoming::Broken(id, start, peer));
                    }
                }
                (Node::Controller, Node::Broker(id)) => {
                    let mut out = Vec::new();
                    self.controller.disconnected(self.now(), id, &mut out);
                    // Not over the connection that has just broken.
                    out.retain(|(to, _)| *to != there);
                    self.controller_says(out);
                }
                (Node::Broker(id), Node::Controller) => {
                    if let Some((_, broker)) = self.running.get_mut(&id) {
                        broker.lost_session();
                    }
                }
                (Node::Producer(number), Node::Broker(broker)) => {
                    let now_ms = self.now_ms;
                    let producer = self.producers.get_mut(&number);
                    if let Some(producer) = producer.filter(|producer| producer.leader() == Some(broker)) {
                        producer.disconnected(now_ms);
                    }
                }
                _ => {}
            }
        }
    }
}
