//! What happens when its time has come.

use super::state::{Upcoming, World};
use crate::sim::controllers::{
    process::{Event, Packet, Process, To},
    start::Refusal,
};

/// How often clients propose, ms.
const PROPOSAL_MS: u64 = 25;
/// How long a voter has to be silent before another takes its place, ms.
const SILENT_MS: u64 = 300;

impl World {
    /// Lets happen what comes until then.
    pub fn run_until(&mut self, end_ms: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end_ms {
                break;
            }
            let ((now_ms, _), upcoming) = entry.remove_entry();
            self.now_ms = now_ms;
            self.happens(upcoming);
        }
        self.now_ms = end_ms;
    }

    fn happens(&mut self, upcoming: Upcoming) {
        let patience_ms = self.patience_ms();
        let now_ms = self.now_ms;
        match upcoming {
            Upcoming::Starts(at) => self.start(at),
            Upcoming::Cleared(at) => self.clear(at),
            Upcoming::Clients => {
                self.propose();
                self.later(PROPOSAL_MS, Upcoming::Clients);
            }
            Upcoming::Arrives(packet) => self.arrives(*packet),
            Upcoming::Tick(at, start) => {
                self.with(at, Some(start), |process, events| {
                    process.step(events, |raft, effects| raft.tick(now_ms, patience_ms, effects));
                });
                let due = self.running(at, start).map(|process| process.raft().due_ms());
                if let Some(due_ms) = due {
                    self.later(due_ms.saturating_sub(now_ms).max(1), Upcoming::Tick(at, start));
                }
            }
            Upcoming::Keep(at, start) => {
                if self.running(at, start).is_some() {
                    let peers = self.machines.iter().filter(|machine| !machine.is_extra).count();
                    self.with(at, Some(start), |process, _| process.keep(peers));
                    self.later(1_000, Upcoming::Keep(at, start));
                }
            }
            Upcoming::Turn(at, start) => self.turn(at, start),
        }
    }

    pub(super) fn running(&self, at: usize, start: u64) -> Option<&Process> {
        self.machines[at].process.as_ref().filter(|process| process.caller().start == start)
    }

    /// Lets a process do something, if it is still that start, and takes what comes of it.
    fn with(&mut self, at: usize, start: Option<u64>, work: impl FnOnce(&mut Process, &mut Vec<Event>)) {
        let Some(process) = &mut self.machines[at].process else { return };
        if start.is_some_and(|start| process.caller().start != start) {
            return;
        }
        let was_busy = process.is_busy();
        let mut events = Vec::new();
        work(process, &mut events);
        let (is_busy, start) = (process.is_busy(), process.caller().start);
        if is_busy && !was_busy {
            self.turn_later(at, start);
        }
        self.take(at, events);
    }

    fn turn_later(&mut self, at: usize, start: u64) {
        let after_ms = self.rng.u64(..4);
        self.later(after_ms, Upcoming::Turn(at, start));
    }

    fn turn(&mut self, at: usize, start: u64) {
        if self.running(at, start).is_none() {
            return;
        }
        let (now_ms, patience_ms) = (self.now_ms, self.patience_ms());
        let machine = &mut self.machines[at];
        let process = machine.process.as_mut().expect("it runs");
        let mut events = Vec::new();
        process.turn(&mut machine.folder, now_ms, patience_ms, &mut events);
        if process.is_busy() {
            self.turn_later(at, start);
        }
        self.take(at, events);
    }

    fn take(&mut self, at: usize, events: Vec<Event>) {
        for event in events {
            let Some(process) = &self.machines[at].process else { return };
            let (caller, log) = (process.caller(), process.raft().log());
            match event {
                Event::Leads(leader) => {
                    self.coverage.led += 1;
                    self.oracle.leads(leader, caller.start, log);
                }
                Event::Committed(end) => {
                    let before = self.oracle.end();
                    self.oracle.committed(caller.start, process.raft().vote().leader, log, end);
                    self.coverage.committed += (self.oracle.end() - before) as u64;
                }
                Event::Cuts(from, committed) => self.oracle.cuts(caller.node, from, committed),
                Event::Sent(packet) => self.send(*packet),
                Event::Ended(ended) => self.refuse(at, &Refusal::Ended(ended)),
            }
        }
    }

    fn send(&mut self, packet: Packet) {
        if self.is_lossy && self.rng.u8(..50) == 0 {
            return;
        }
        let after_ms = self.rng.u64(1..12);
        self.later(after_ms, Upcoming::Arrives(Box::new(packet)));
    }

    fn arrives(&mut self, packet: Packet) {
        let from = packet.from.machine;
        let is_meant = |process: &Process| match packet.to {
            To::Node(node) => process.node() == node && process.caller() != packet.from,
            To::Caller(caller) => process.caller() == caller,
            To::Machine(machine) => process.caller().machine == machine,
        };
        let meant: Vec<usize> = (0..self.machines.len())
            .filter(|at| self.machines[*at].process.as_ref().is_some_and(is_meant))
            .filter(|at| !self.cut.contains(&(from, *at)))
            .collect();
        // Two processes with one node id: it is not known which is called.
        let Some(at) = self.rng.choice(meant) else { return };
        let (now_ms, patience_ms) = (self.now_ms, self.patience_ms());
        self.with(at, None, |process, events| process.hear(packet, now_ms, patience_ms, events));
    }

    /// Clients propose commands to all that lead, and newcomers ask for the place of who was there before.
    fn propose(&mut self) {
        let now_ms = self.now_ms;
        let joins: Vec<(u64, u64)> = self
            .machines
            .iter()
            .filter(|machine| machine.process.is_some())
            .filter_map(|machine| Some((machine.folder.node, machine.replaces?)))
            .collect();
        for at in 0..self.machines.len() {
            if !self.machines[at].process.as_ref().is_some_and(|process| process.raft().leads()) {
                continue;
            }
            let command = self.next();
            self.with(at, None, |process, events| {
                process.step(events, |raft, effects| raft.propose(command, effects));
                for (newcomer, lost) in &joins {
                    process.step(events, |raft, effects| raft.replace(*newcomer, *lost, now_ms, SILENT_MS, effects));
                }
            });
        }
        if joins.is_empty() {
            return;
        }
        let members = self.members();
        for machine in &mut self.machines {
            if machine.replaces.is_some() && members.voters.len() == 1 && members.votes(machine.folder.node) {
                machine.replaces = None;
                self.coverage.replaced += 1;
            }
        }
    }
}
