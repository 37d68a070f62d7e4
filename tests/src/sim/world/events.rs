//! What happens when its time has come: messages arrive, disks report, processes start.

use holdfast_proto::ids::{BrokerId, Millis, Offset};
use holdfast_replication::Event;

use super::{CALL_CONTROLLER_MS, MIN_INSYNC_REPLICAS, TICK_MS, Upcoming, World};
use crate::sim::{
    broker::{Broker, Outgoing},
    disk::{Disk, SimLog},
    message::{Message, Node},
    network::Delivery,
};

impl World {
    pub(super) fn happen(&mut self, upcoming: Upcoming) {
        match upcoming {
            Upcoming::Deliver(delivery) => self.deliver(delivery),
            Upcoming::Flushed(id, start, (tp, number), generation, offset) => {
                self.broker(id, start, |broker, now, disk, out| {
                    // Unless it is deleted, and perhaps made anew.
                    let Some(log) = disk.logs.get_mut(&tp).filter(|log| log.number() == number) else { return };
                    log.flush(generation, offset);
                    broker.step(now, tp, Event::LogFlushed { generation, offset: Offset(offset) }, disk, out);
                });
            }
            Upcoming::Truncated(id, start, (tp, number), generation) => {
                self.broker(id, start, |broker, now, disk, out| {
                    let Some(log) = disk.logs.get_mut(&tp).filter(|log| log.number() == number) else { return };
                    log.truncated(generation);
                    let producers = log.producers();
                    broker.step(now, tp, Event::Truncated { generation, producers }, disk, out);
                });
            }
            Upcoming::Move(wanted) => self.move_replicas(wanted),
            Upcoming::Broken(id, start, peer) => {
                self.broker(id, start, |broker, now, disk, out| broker.disconnected(now, peer, disk, out));
            }
            Upcoming::Tick(id, start) => {
                if self.broker(id, start, Broker::tick) {
                    let delay_ms = TICK_MS + self.rng.u64(..TICK_MS);
                    self.later(delay_ms, Upcoming::Tick(id, start));
                }
            }
            Upcoming::CallController(id, start) => self.call_controller(id, start),
            Upcoming::ControllerTick => {
                let mut out = Vec::new();
                self.controller.tick(self.now_ms, &mut out);
                self.controller_says(out);
                self.later(TICK_MS, Upcoming::ControllerTick);
            }
            Upcoming::Produce(number) => self.produce(number),
            Upcoming::Start(id) => self.start(id),
        }
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        if !self.network.arrives(&delivery) {
            return;
        }
        let Delivery { from, to, message, .. } = delivery;
        match to {
            Node::Controller => {
                let Node::Broker(from) = from else { panic!("{from:?} speaks to the controller") };
                let mut out = Vec::new();
                self.controller.receive(self.now_ms, from, message, &mut out);
                self.controller_says(out);
            }
            Node::Broker(id) => {
                if let Some((start, _)) = self.running.get(&id) {
                    let start = *start;
                    self.broker(id, start, |broker, now, disk, out| broker.receive(now, from, message, disk, out));
                } else {
                    // Nobody listens there.
                    self.notice_broken(from, to);
                }
            }
            Node::Producer(number) => {
                let Message::Produced { id, attempt, result } = message else { panic!("a producer hears {message:?}") };
                let producer = self.producers.get_mut(&number).expect("every producer is there");
                if producer.answered(id, attempt, result) {
                    producer.leader = None;
                }
            }
        }
    }

    /// Does something with a broker's process if that start of it still runs, and carries out what it wants.
    pub(super) fn broker(
        &mut self,
        id: BrokerId,
        start: u64,
        act: impl FnOnce(&mut Broker, Millis, &mut Disk, &mut Vec<Outgoing>),
    ) -> bool {
        let Some((_, broker)) = self.running.get_mut(&id).filter(|(running, _)| *running == start) else {
            return false;
        };
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        let mut out = Vec::new();
        act(broker, Millis(self.now_ms), disk, &mut out);
        for outgoing in out {
            self.carry_out(id, start, outgoing);
        }
        true
    }

    pub(super) fn carry_out(&mut self, id: BrokerId, start: u64, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send(to, message) => self.send(Node::Broker(id), to, message),
            Outgoing::Flush(tp, generation, offset) => {
                let Some(number) = self.disks[&id].logs.get(&tp).map(SimLog::number) else { return };
                let delay_ms = 1 + if self.rng.u8(..20) == 0 { self.rng.u64(..300) } else { self.rng.u64(..8) };
                self.later(delay_ms, Upcoming::Flushed(id, start, (tp, number), generation, offset));
            }
            Outgoing::Truncated(tp, generation) => {
                let Some(number) = self.disks[&id].logs.get(&tp).map(SimLog::number) else { return };
                self.coverage.truncations += 1;
                let delay_ms = self.rng.u64(..20);
                self.later(delay_ms, Upcoming::Truncated(id, start, (tp, number), generation));
            }
            Outgoing::Acked(tp, offset, batch) => {
                let holds = |disk: &Disk| disk.logs.get(&tp).is_some_and(|log| log.holds_durably(offset, batch));
                let holders = self.disks.values().filter(|disk| holds(disk)).count();
                self.oracle.acked(tp, offset, batch, holders, MIN_INSYNC_REPLICAS);
            }
            Outgoing::Readable(tp) => {
                let end = self.running.get(&id).and_then(|(_, broker)| broker.readable_end(tp));
                if let Some((end, log)) = end.zip(self.disks[&id].logs.get(&tp)) {
                    self.oracle.readable(tp, log.batches(), end.0);
                }
            }
            Outgoing::Deleted => self.coverage.deleted_logs += 1,
            Outgoing::Leads(tp, epoch) => self.oracle.leads(tp, epoch, id),
        }
    }

    pub(super) fn controller_says(&mut self, out: Vec<(Node, Message)>) {
        for (to, message) in out {
            self.send(Node::Controller, to, message);
        }
    }

    pub(super) fn send(&mut self, from: Node, to: Node, message: Message) {
        let delay_ms = 1 + if self.rng.u8(..30) == 0 { self.rng.u64(..150) } else { self.rng.u64(..5) };
        match self.network.send(self.now_ms, delay_ms, from, to, message) {
            Some((at_ms, delivery)) => self.later(at_ms - self.now_ms, Upcoming::Deliver(delivery)),
            None => self.notice_broken(from, to),
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
                (Node::Controller, Node::Broker(id)) => self.controller.disconnected(id),
                (Node::Broker(id), Node::Controller) => {
                    if let Some((_, broker)) = self.running.get_mut(&id) {
                        broker.lost_session();
                    }
                }
                (Node::Producer(number), Node::Broker(_)) => {
                    if let Some(producer) = self.producers.get_mut(&number) {
                        producer.start_again();
                        producer.leader = None;
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn call_controller(&mut self, id: BrokerId, start: u64) {
        let Some((_, broker)) = self.running.get(&id).filter(|(running, _)| *running == start) else { return };
        let message = broker.call_controller(&self.disks[&id]);
        self.send(Node::Broker(id), Node::Controller, message);
        let delay_ms = CALL_CONTROLLER_MS + self.rng.u64(..CALL_CONTROLLER_MS / 2);
        self.later(delay_ms, Upcoming::CallController(id, start));
    }

    pub(super) fn produce(&mut self, number: u32) {
        let known: Vec<BrokerId> = self.running();
        let producer = self.producers.get_mut(&number).expect("every producer is there");
        if self.producing && producer.pending() < 12 {
            producer.make(1 + self.rng.u32(..3));
        }
        if producer.leader.is_none() && !known.is_empty() {
            // Ask any broker: its knowledge may be old.
            let asked = known[self.rng.usize(..known.len())];
            producer.leader = self.running[&asked].1.leader_of(producer.partition());
        }
        if let Some(leader) = producer.leader {
            for message in producer.to_send() {
                self.send(Node::Producer(number), Node::Broker(leader), message);
            }
        }
        let delay_ms = 5 + self.rng.u64(..40);
        self.later(delay_ms, Upcoming::Produce(number));
    }

    pub(super) fn start(&mut self, id: BrokerId) {
        if self.running.contains_key(&id) {
            return;
        }
        self.starts += 1;
        let start = self.starts;
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        self.running.insert(id, (start, Broker::start(id, disk, u128::from(start))));
        self.later(0, Upcoming::CallController(id, start));
        self.later(TICK_MS, Upcoming::Tick(id, start));
    }
}
