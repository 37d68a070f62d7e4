//! What brokers and the controller want done, and what arrives.

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::BrokerId;
use holdfast_replication::{BEGINS_LATE, Event};

use super::{
    cluster::Cluster,
    links::{CONTROLLER, passes_at_once},
};
use crate::sim::{
    broker::Outgoing,
    controller::{Outbox, TIMEOUTS},
    message::{Message, Node},
    oracle::{Held, Leadership},
};

impl Cluster {
    pub(super) fn carry_out(&mut self, id: BrokerId, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send(to, message) => self.send(Node::Broker(id), to, message),
            // It waits until it is told to go on.
            Outgoing::Work(_) | Outgoing::LeaseEnded | Outgoing::Renewed => {}
            Outgoing::Open(tp) => self.broker(id, |broker, now, disk, out| broker.opened(now, tp, disk, out)),
            Outgoing::Delete(tp) => {
                self.oracle.deletes(tp, id, self.controller.image().partition(tp));
                self.broker(id, |broker, now, disk, out| broker.deleted(now, tp, disk, out));
            }
            Outgoing::Acked(tp, offset, batch) => {
                let image = self.controller.image();
                let state = image.partition(tp).expect("the topic is never deleted");
                let needed = self.min_isr.saturating_sub(self.lost_disks);
                let held = Held::of((tp, offset, batch), &self.disks, state, (needed, true), |_| false);
                self.oracle.acked(tp, offset, batch, &held);
            }
            Outgoing::AckedByLeader(tp, batch) => {
                let heard = self.controller.last_heard(id).map_or(0, |heard| heard.0);
                self.oracle.acked_by_leader(tp, batch, self.now().0, heard + TIMEOUTS.session_ms);
            }
            Outgoing::Readable(tp) => {
                let end = self.running.get(&id).and_then(|broker| broker.readable_end(tp));
                if let Some((end, log)) = end.zip(self.disks[&id].logs.get(&tp)) {
                    self.oracle.readable(tp, log.batches(), end.0);
                }
            }
            Outgoing::Leads(tp, epoch, log) => {
                let incarnation = self.running[&id].incarnation();
                self.oracle.leads(tp, epoch, Leadership { broker: id, incarnation, log });
            }
            Outgoing::Halted(tp, BEGINS_LATE) => {
                self.broker(id, |broker, now, disk, out| broker.found(now, tp, DistrustReason::Halted, disk, out));
            }
            Outgoing::Halted(_, reason) => {
                assert!(self.failed.contains(&id), "the replica on {id} halted: {reason}");
            }
            Outgoing::ClosedStray => panic!("broker {id} closes a stray, though no state has gone back"),
        }
    }

    pub(super) fn controller_says(&mut self, out: Outbox) {
        for (to, message) in out {
            self.send(Node::Controller, to, message);
        }
    }

    pub(super) fn send(&mut self, from: Node, to: Node, message: Message) {
        if let (Message::Heartbeat { .. }, Node::Broker(id)) = (&message, from)
            && self.silent.contains(&id)
        {
            return;
        }
        if passes_at_once(&message) {
            return self.passing.push_back((from, to, message));
        }
        let number = |node| match node {
            Node::Controller => CONTROLLER,
            Node::Broker(id) => id.0,
            Node::Producer(producer) => panic!("producer {producer} takes no part in {message:?}"),
        };
        self.links.send((number(from), number(to)), message);
    }

    /// Delivers what waits on no link.
    pub(super) fn pass(&mut self) {
        while let Some((from, to, message)) = self.passing.pop_front() {
            self.arrives(from, to, message, false);
        }
    }

    /// A message has come to its receiver, who may be down. `is_orphan`: nobody waits for the answer any more.
    pub(super) fn arrives(&mut self, from: Node, to: Node, message: Message, is_orphan: bool) {
        match to {
            Node::Controller => {
                let Node::Broker(from) = from else { panic!("{from:?} speaks to the controller") };
                let mut out = Vec::new();
                self.controller.receive(self.now(), from, message, 0, &mut out);
                out.retain(|(_, message)| !(is_orphan && matches!(message, Message::Altered { .. })));
                self.controller_says(out);
            }
            Node::Broker(id) if self.running.contains_key(&id) => {
                // One that was refused tries again when it says that it lives next, unless it has learnt whom to replace: else
                // it would be refused for ever, at one moment.
                let registers = match &message {
                    Message::Registered { result: Ok(_), .. } => true,
                    Message::Registered { known, .. } => self.running[&id].replaces != *known,
                    _ => false,
                };
                self.broker(id, |broker, now, disk, out| broker.receive(now, from, message, disk, out));
                if registers {
                    self.beat(id);
                }
            }
            Node::Broker(id) => {
                // Nobody listens there.
                if let Node::Broker(from) = from {
                    self.broker(from, |broker, now, disk, out| broker.disconnected(now, id, disk, out));
                }
            }
            Node::Producer(_) => {
                let Message::Produced { correlation, result, .. } = message else {
                    panic!("a producer hears {message:?}")
                };
                self.producing.answered(correlation, result.map_err(|error| error.code));
            }
        }
    }

    /// Compares every running node's log with every promise.
    pub(super) fn audit(&self) {
        for id in self.running.keys() {
            let (Ok(replica), Some(log)) = (self.replica(*id), self.log(*id)) else { continue };
            let leads = replica.is_leader() && self.committed().leader == Some(*id);
            let end = if leads { u64::MAX } else { replica.high_watermark().0 };
            self.oracle.log_up_to(self.tp, log.start(), log.batches(), end);
        }
    }

    /// A write or fsync of a node's log has failed.
    pub(super) fn storage_failed(&mut self, id: BrokerId) {
        let tp = self.tp;
        self.failed.insert(id);
        self.broker(id, |broker, now, disk, out| broker.step(now, tp, Event::StorageFailed, disk, out));
    }
}
