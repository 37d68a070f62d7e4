//! Processes that are killed, and folders that are lost, older, used twice, or lack a part.
//!
//! Fewer than half of the voters' folders are at fault at a time: one counts until another has taken its place. What the
//! history of a folder does not show (`holdfast_controller::lineage` says so) is left out: a copy is used only where, of the
//! other voters, too few for a majority with it do not know, durably, of something that it told later.

use super::state::{Machine, Upcoming, World, blank};
use crate::sim::controllers::{
    disk::{Folder, MarkFile},
    log::Vote,
};

impl World {
    /// Ends a process. With the power what was not synced may be gone.
    pub fn kill(&mut self, at: usize, loses_power: bool, restart_after_ms: u64) {
        let kept = self.rng.bool();
        let machine = &mut self.machines[at];
        if machine.process.take().is_none() {
            return;
        }
        self.coverage.killed += 1;
        if loses_power {
            machine.folder.mark.lose_power(kept);
        }
        self.later(restart_after_ms, Upcoming::Starts(at));
    }

    /// Some machine with a place of its own.
    pub fn some_machine(&mut self) -> usize {
        let own: Vec<usize> = (0..self.machines.len()).filter(|at| !self.machines[*at].is_extra).collect();
        self.rng.choice(own).expect("there are machines")
    }

    /// Keeps a copy of a folder as it is, also under a running process.
    pub fn copy(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.copy = Some(machine.folder.clone());
    }

    /// Cuts a link, in one direction or in both.
    pub fn cut_link(&mut self, from: usize, to: usize, both: bool) {
        self.cut.insert((from, to));
        if both {
            self.cut.insert((to, from));
        }
    }

    /// Cuts a machine off from all others.
    pub fn isolate(&mut self, at: usize) {
        (0..self.machines.len()).filter(|other| *other != at).for_each(|other| self.cut_link(at, other, true));
    }

    /// All links carry again.
    pub fn connect(&mut self) {
        self.cut.clear();
    }

    /// Something happens to the folder of a machine, if one more may be at fault.
    pub fn harm(&mut self, at: usize) {
        if !self.may_be_at_fault(at) {
            return;
        }
        match self.rng.u8(..7) {
            0 | 1 => self.roll_back(at),
            2 => self.use_twice(at),
            3 => self.cut_store(at, true),
            4 => self.cut_store(at, false),
            5 => self.lose_part(at),
            _ => self.lose(at),
        }
    }

    /// A machine that voted for another a moment ago, and was sent nothing by it yet, forgets that vote.
    pub fn forget_a_vote(&mut self, at: usize) {
        if self.may_be_at_fault(at) {
            self.cut_store(at, false);
        }
    }

    /// A machine on which a vote for another is the last that was stored.
    pub fn just_voted(&self) -> Option<usize> {
        let voted = |machine: &Machine| {
            let store = machine.folder.store.as_ref().filter(|_| machine.process.is_some());
            let told = machine.folder.mark.newest().and_then(|(_, mark)| Vote::from_bytes(&mark.vote));
            let vote = store.and_then(|store| store.vote).filter(|vote| told == Some(*vote) && !vote.committed);
            vote.is_some_and(|vote| vote.leader.node != machine.folder.node && vote.leader.node != 0)
        };
        self.machines.iter().position(voted)
    }

    /// True if one more voter's folder may be at fault, and it is that of this machine.
    fn may_be_at_fault(&self, at: usize) -> bool {
        let members = self.members();
        let machine = &self.machines[at];
        let node = machine.folder.node;
        let voters = members.voters.iter().flatten();
        let open = voters.filter(|id| **id != node && self.at_fault.contains(id)).count();
        let is_voter = members.voters.len() == 1 && members.votes(node);
        let may = (members.voters[0].len() - 1) / 2;
        is_voter && machine.refused.is_none() && !self.at_fault.contains(&node) && open < may
    }

    fn stop(&mut self, at: usize) -> &mut Machine {
        let restart_after_ms = self.rng.u64(1..600);
        self.kill(at, false, restart_after_ms);
        let node = self.machines[at].folder.node;
        self.at_fault.insert(node);
        &mut self.machines[at]
    }

    /// The folder comes back as it was.
    fn roll_back(&mut self, at: usize) {
        let Some(copy) = self.machines[at].copy.clone().filter(|copy| self.shows(at, copy)) else { return };
        self.stop(at).folder = copy;
        self.coverage.rolled_back += 1;
    }

    /// A copy of the folder is used on another machine, beside it.
    fn use_twice(&mut self, at: usize) {
        let Some(copy) = self.machines[at].copy.clone().filter(|copy| self.shows(at, copy)) else { return };
        self.at_fault.insert(copy.node);
        self.add_machine(copy);
        self.machines.last_mut().expect("it was added").is_extra = true;
        self.coverage.copied += 1;
    }

    /// True if a copy shows that it is one to enough of the others, also after they started again.
    fn shows(&self, at: usize, copy: &Folder) -> bool {
        let node = self.machines[at].folder.node;
        if copy.node != node {
            return false;
        }
        let members = self.members();
        let voters = &members.voters[0];
        let knows = |machine: &Machine| {
            let store = machine.folder.store.as_ref();
            let kept = store.and_then(|store| store.known.get(&node));
            kept.is_some_and(|kept| {
                kept.shown.into_iter().chain([kept.told]).any(|known| {
                    let boots = copy.store.iter().flat_map(|store| &store.boots);
                    let generation = copy.mark.newest().map_or(0, |(generation, _)| *generation);
                    let last = boots.clone().last().map(|boot| boot.incarnation_id);
                    let is_after = last == Some(known.incarnation_id) && known.generation > generation;
                    is_after || !boots.clone().any(|boot| boot.incarnation_id == known.incarnation_id)
                })
            })
        };
        let may_believe = self.machines.iter().filter(|machine| {
            let id = machine.folder.node;
            !machine.is_extra && id != node && voters.contains(&id) && machine.refused.is_none() && !knows(machine)
        });
        2 * (may_believe.count() + 1) <= voters.len()
    }

    /// The store lacks the end of its log, or its vote; the mark beside it is as it was.
    pub(super) fn cut_store(&mut self, at: usize, log: bool) {
        let (entries, number) = (self.rng.u64(1..12), self.rng.u64(1..3));
        let machine = self.stop(at);
        let (Some((_, told)), Some(store)) = (machine.folder.mark.newest(), machine.folder.store.as_mut()) else {
            return;
        };
        if log {
            // A power loss may hide from the mark what was appended last: below it every cut shows.
            store.log.truncate(told.end.saturating_sub(entries) as usize);
        } else {
            // One that was stored and not told yet may go.
            store.vote = Vote::from_bytes(&told.vote).and_then(|mut vote| {
                vote.committed = false;
                vote.leader.term = vote.leader.term.checked_sub(number)?;
                Some(vote)
            });
        }
        self.coverage.cut += 1;
    }

    /// The store is gone, or the mark beside it.
    pub(super) fn lose_part(&mut self, at: usize) {
        let is_store = self.rng.bool();
        let folder = &mut self.stop(at).folder;
        if is_store {
            folder.store = None;
        } else {
            folder.mark = MarkFile::default();
        }
        self.coverage.emptied += 1;
    }

    /// The folder is gone: a blank one takes its place.
    pub(super) fn lose(&mut self, at: usize) {
        self.stop(at);
        self.coverage.lost += 1;
        self.begin_blank(at);
    }

    /// The operator clears a folder that is refused.
    pub(super) fn clear(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        if machine.refused.take().is_some() && !machine.is_extra {
            self.begin_blank(at);
            self.later(1, Upcoming::Starts(at));
        }
    }

    fn begin_blank(&mut self, at: usize) {
        let (node, members) = (self.next(), self.members());
        let machine = &mut self.machines[at];
        let old = std::mem::replace(&mut machine.folder, blank(node));
        if members.votes(old.node) {
            machine.replaces = Some(old.node);
        }
        if machine.replaces.is_none_or(|id| !members.votes(id)) {
            machine.replaces = Some(0);
        }
        machine.copy = None;
    }
}
