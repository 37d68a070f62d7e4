//! All is well again: the quorum goes on.

use super::state::{Coverage, Upcoming, World};
use crate::sim::controllers::process::Process;

/// How long it may take, ms.
const PATIENCE_MS: u64 = 120_000;

impl World {
    /// Ends all faults, and waits until everybody votes, has caught up, and something is committed. Panics if that does not
    /// come.
    pub fn heal_and_audit(mut self) -> Coverage {
        self.connect();
        self.is_lossy = false;
        for at in 0..self.machines.len() {
            if self.machines[at].is_extra {
                self.machines[at].process = None;
            } else {
                self.later(1, Upcoming::Starts(at));
            }
        }
        let (end_ms, before) = (self.now_ms() + PATIENCE_MS, self.oracle.end());
        while !self.is_whole(before) {
            assert!(self.now_ms() < end_ms, "the quorum does not come back: {:?}", self.standing());
            self.fill_places();
            self.run_until(self.now_ms() + 200);
        }
        self.coverage
    }

    fn is_whole(&self, before: usize) -> bool {
        let members = self.members();
        members.voters.len() == 1
            && self.oracle.end() > before
            && self.machines.iter().filter(|machine| !machine.is_extra).all(|machine| {
                let committed = machine.process.as_ref().map_or(0, |process| process.raft().committed());
                members.votes(machine.folder.node) && committed as usize > before
            })
    }

    fn standing(&self) -> Vec<String> {
        let of = |machine: &super::state::Machine| {
            let process = machine.process.as_ref();
            let raft = process.map(Process::raft);
            format!(
                "{} {} replaces {:?}, {}",
                machine.folder.node,
                if process.is_some() { "runs" } else { "is down" },
                machine.replaces,
                raft.map_or_else(String::new, |raft| format!("{:?} up to {}", raft.vote(), raft.committed()))
            )
        };
        self.machines.iter().map(of).collect()
    }
}
