//! What happens when its time has come: messages arrive, disks report, processes start.

use holdfast_proto::ids::{BrokerId, Millis};

use super::{
    state::{TICK_MS, World},
    upcoming::{Start, Upcoming},
};
use crate::sim::{
    broker::{Broker, HEARTBEAT_MS, Outgoing},
    disk::Disk,
    message::{Message, Node},
    network::Delivery,
};

/// Batches of one producer that may be under way, while it goes on making more.
const PENDING_MAX: usize = 12;

impl World {
    pub(super) fn happen(&mut self, upcoming: Upcoming) {
        let process = match &upcoming {
            Upcoming::Deliver(Delivery { to: Node::Broker(id), .. }) => {
                self.running.get(id).map(|(start, _)| (*id, *start))
            }
            other => other.process(),
        };
        if let Some((id, start)) = process
            && self.running.get(&id).is_some_and(|(running, _)| *running == start)
            && let Some(until_ms) = self.paused.get(&id).copied().filter(|until_ms| *until_ms > self.now_ms)
        {
            // What waits keeps its order: it is put back in order.
            return self.later(until_ms - self.now_ms, upcoming);
        }
        match upcoming {
            Upcoming::Deliver(delivery) => self.deliver(delivery),
            Upcoming::Written(id, start, number) => self.written(id, start, number),
            Upcoming::Flushed(id, start, number) => self.flushed(id, start, number),
            Upcoming::FlushDue(id, start, number) => self.flush_due(id, start, number),
            Upcoming::Retain(id, start, (tp, number), to) => {
                self.oracle.retains(tp, to.0);
                self.broker(id, start, |broker, _, disk, out| {
                    if disk.logs.get(&tp).is_some_and(|log| log.number() == number) {
                        broker.retain(tp, to, disk, out);
                    }
                });
            }
            Upcoming::Opened(id, start, tp) => {
                self.broker(id, start, |broker, now, disk, out| broker.opened(now, tp, disk, out));
            }
            Upcoming::Deleted(id, start, tp) => {
                self.check_deletion(id, tp);
                if self.broker(id, start, |broker, now, disk, out| broker.deleted(now, tp, disk, out)) {
                    self.coverage.deleted_logs += 1;
                }
            }
            Upcoming::Found(id, start, tp, reason) => {
                self.broker(id, start, |broker, now, disk, out| broker.found(now, tp, reason, disk, out));
            }
            Upcoming::NoConnection(a, b) => self.notice_broken(a, b),
            Upcoming::BreakJoiner(id) if self.breaks_joiners => self.break_joiner(id),
            Upcoming::BreakJoiner(_) => {}
            Upcoming::Move(wanted) => self.move_replicas(wanted),
            Upcoming::Broken(id, start, peer) => {
                self.broker(id, start, |broker, now, disk, out| broker.disconnected(now, peer, disk, out));
            }
            Upcoming::Tick(id, start) => {
                if self.broker(id, start, Broker::tick) {
                    self.broker(id, start, Broker::store_high_watermarks);
                    self.retain_by_time(id, start);
                    let delay_ms = TICK_MS + self.rng.u64(..TICK_MS);
                    self.later(delay_ms, Upcoming::Tick(id, start));
                }
            }
            Upcoming::Heartbeat(id, start) => {
                let beat = |broker: &mut Broker, now, disk: &mut Disk, out: &mut _| broker.heartbeat(now, disk, out);
                if self.broker(id, start, beat) {
                    let delay_ms = HEARTBEAT_MS + self.rng.u64(..HEARTBEAT_MS / 2);
                    self.later(delay_ms, Upcoming::Heartbeat(id, start));
                }
            }
            Upcoming::ControllerTick => {
                let mut out = Vec::new();
                self.controller.tick(self.now(), &mut out);
                self.controller_says(out);
                self.later(TICK_MS, Upcoming::ControllerTick);
            }
            Upcoming::Leave(id, start, until_ms) => self.go_on_leaving(id, start, until_ms),
            Upcoming::Produce(number) => self.produce(number),
            Upcoming::Start(id) => self.start(id),
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        if !self.network.arrives(&delivery) {
            return;
        }
        let Delivery { from, to, message, .. } = delivery;
        match to {
            Node::Controller => {
                let Node::Broker(from) = from else { panic!("{from:?} speaks to the controller") };
                let old_state = if self.producing && self.rng.u8(..3) == 0 { self.rng.usize(1..40) } else { 0 };
                let mut out = Vec::new();
                let joining = self.joining(&message);
                self.controller.receive(self.now(), from, message, old_state, &mut out);
                self.check_joined(&joining);
                let is_snapshot =
                    |(_, message): &(Node, Message)| matches!(message, Message::Session { snapshot: Some(_), .. });
                self.coverage.old_states += u64::from(old_state > 0 && out.iter().any(is_snapshot));
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
                let Message::Produced { connection, correlation, result } = message else {
                    panic!("a producer hears {message:?}")
                };
                let now_ms = self.now_ms;
                let producer = self.producers.get_mut(&number).expect("every producer is there");
                producer.answered(now_ms, connection, correlation, result);
            }
        }
    }

    /// Does something with a broker's process if that start of it still runs, and carries out what it wants.
    pub(super) fn broker(
        &mut self,
        id: BrokerId,
        start: Start,
        act: impl FnOnce(&mut Broker, Millis, &mut Disk, &mut Vec<Outgoing>),
    ) -> bool {
        let now = self.now();
        let Some((_, broker)) = self.running.get_mut(&id).filter(|(running, _)| *running == start) else {
            return false;
        };
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        let mut out = Vec::new();
        act(broker, now, disk, &mut out);
        if !self.disk_faults.contains_key(&id) {
            // What is not vouched for stays as it is until there is somebody to copy from.
            let vouched = disk.logs.iter().filter(|(tp, _)| !disk.distrusted.contains_key(tp));
            vouched.for_each(|(tp, log)| self.oracle.begins(*tp, id, log.start()));
        }
        for outgoing in out {
            self.carry_out(id, start, outgoing);
        }
        true
    }

    fn produce(&mut self, number: u32) {
        let known: Vec<BrokerId> = self.running();
        let now_ms = self.now_ms;
        let producer = self.producers.get_mut(&number).expect("every producer is there");
        let tp = producer.partition();
        let is_there = self.topics.contains_key(&tp.topic_id);
        if self.producing && is_there && producer.pending() < PENDING_MAX {
            producer.make(now_ms, 1 + self.rng.u32(..3));
        }
        if producer.leader().is_none() && !known.is_empty() {
            // Ask any broker: its knowledge may be old.
            let asked = known[self.rng.usize(..known.len())];
            producer.learn(now_ms, self.running[&asked].1.leader_of(tp));
        }
        let messages = producer.to_send(now_ms);
        if let Some(leader) = producer.leader() {
            for message in messages {
                self.send(Node::Producer(number), Node::Broker(leader), message);
            }
        }
        let is_done = !is_there && self.producers[&number].pending() == 0;
        if !is_done {
            let delay_ms = 5 + self.rng.u64(..40);
            self.later(delay_ms, Upcoming::Produce(number));
        }
    }

    fn start(&mut self, id: BrokerId) {
        if self.running.contains_key(&id) {
            return;
        }
        self.starts += 1;
        let start = self.starts;
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        self.running.insert(id, (start, Broker::start(Millis(self.now_ms), id, disk, u128::from(start))));
        self.later(0, Upcoming::Heartbeat(id, start));
        self.later(TICK_MS, Upcoming::Tick(id, start));
    }
}
