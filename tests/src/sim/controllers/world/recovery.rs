//! More folders are at fault than may be, and the last resort: one controller goes on alone.

use holdfast_controller::{
    lineage::Table,
    store::mark::{Around, Change, Mark, Slots},
};
use holdfast_metadata::recovery::TERM_LEAP;
use holdfast_proto::{
    ids::{ControllerId, MetadataIndex},
    refusal::Recovered,
};

use super::state::{Machine, Upcoming, World};
use crate::sim::controllers::{
    disk::Ended,
    log::{Entry, LeaderId, Members, Payload, Vote, members_of, recovered_of},
    start::{Opened, Refusal},
};

impl World {
    /// Ends all processes at once.
    pub fn kill_all(&mut self, loses_power: bool, restart_after_ms: u64) {
        (0..self.machines.len()).for_each(|at| self.kill(at, loses_power, restart_after_ms));
    }

    /// Harms the folders of so many voters that the others are no majority; true if it did. Everybody is killed before.
    pub fn harm_most(&mut self) -> bool {
        let members = self.members();
        let [voters] = &members.voters[..] else { return false };
        let mut at_risk: Vec<usize> = (0..self.machines.len())
            .filter(|at| {
                let machine = &self.machines[*at];
                let is_voter = !machine.is_extra && voters.contains(&machine.folder.node);
                is_voter && machine.refused.is_none() && !self.at_fault.contains(&machine.folder.node)
            })
            .collect();
        if at_risk.len() != voters.len() {
            return false;
        }
        self.kill_all(self.now_ms().is_multiple_of(2), 300);
        self.rng.shuffle(&mut at_risk);
        let most = voters.len() / 2 + 1;
        for at in at_risk.into_iter().take(most) {
            match self.rng.u8(..4) {
                0 => self.cut_store(at, true),
                1 => self.cut_store(at, false),
                2 => self.lose_part(at),
                _ => self.lose(at),
            }
        }
        true
    }

    /// Panics if somebody leads.
    pub fn check_that_nobody_leads(&self) {
        assert_eq!(self.leader(), None, "a majority of the folders is at fault, and somebody leads");
    }

    /// An operator lets the one of these machines that knows most go on alone, and starts it again.
    pub fn recover_best(&mut self) {
        let best = (0..self.machines.len())
            .filter(|at| !self.machines[*at].is_extra && self.machines[*at].refused.is_none())
            .max_by_key(|at| {
                let store = self.machines[*at].folder.store.as_ref();
                store.map(|store| (store.log.last().map(|entry| entry.by), store.log.len()))
            });
        self.recover(best.expect("there are machines"));
    }

    /// An operator lets this controller go on alone.
    pub fn recover(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.process = None;
        let folder = &mut machine.folder;
        let (node, store) = (folder.node, folder.store.as_mut().expect("it has a store"));
        let slots = Slots::open(folder.mark.slots.clone(), true).expect("it has a mark");
        let last = store.log.last().expect("it has a log").by;
        let told = Vote::from_bytes(&slots.now().vote).unwrap_or_default();
        let term = store.vote.unwrap_or_default().leader.term.max(last.term).max(told.leader.term) + TERM_LEAP;
        let leader = LeaderId { term, node };
        let given_up = members_of(&store.log).1.others(node).collect();
        let recovered = Recovered {
            recoveries: recovered_of(&store.log).unwrap_or_default().recoveries + 1,
            index: MetadataIndex(store.log.len() as u64),
            controller_id: ControllerId(node),
        };
        let members = Members { voters: vec![[node].into()], ..Members::default() };
        store.log.push(Entry { by: leader, payload: Payload::Recovery { recovered, given_up, members } });
        let vote = Vote { leader, committed: true };
        (store.vote, store.ended) = (Some(vote), None);
        store.known.clear();
        self.oracle.begins(&store.log);
        let mark = Mark { end: store.log.len() as u64, vote: vote.to_bytes() };
        let around = Around::of(slots.now(), std::iter::once(Change::Begins(mark)));
        let mut opened = Opened { slots, generation: 0, is_behind: false, boots: Vec::new(), table: Table::default() };
        if let Some(put) = opened.slots.raise(around.then) {
            opened.put(folder, put);
        }
        // All that there are besides, known or not, is given up.
        let others: Vec<u64> =
            self.machines.iter().map(|machine| machine.folder.node).filter(|id| *id != node).collect();
        self.at_fault.extend(others);
        self.coverage.recovered += 1;
        self.later(1, Upcoming::Starts(at));
    }

    /// True if it can be recovered: it knows no other recovery, its store is there, and nobody refused it.
    pub fn may_recover(&self, at: usize) -> bool {
        let Machine { folder, refused, .. } = &self.machines[at];
        let never = folder.store.as_ref().and_then(|store| recovered_of(&store.log)) == Some(Recovered::default());
        never && refused.is_none()
    }

    /// Another operator lets this one go on alone too.
    pub fn recover_beside(&mut self, at: usize) {
        let before = self.oracle.era();
        self.recover(at);
        self.coverage.rivals += u64::from(before.is_some());
    }

    /// At the first start since it was recovered: it ends, if somebody that it reaches goes on from another recovery.
    pub(super) fn gives_way(&mut self, at: usize) -> bool {
        let log = |machine: &Machine| machine.folder.store.as_ref().map_or(Vec::new(), |store| store.log.clone());
        let own = log(&self.machines[at]);
        let is_first = matches!(own.last(), Some(Entry { payload: Payload::Recovery { recovered, .. }, .. })
            if recovered.controller_id.0 == self.machines[at].folder.node);
        let Some(ours) = recovered_of(&own).filter(|_| is_first) else { return false };
        let is_known = |theirs: Recovered| (0..own.len()).any(|end| recovered_of(&own[..=end]) == Some(theirs));
        let is_rival = |other: usize| {
            let theirs = recovered_of(&log(&self.machines[other])).unwrap_or_default();
            theirs.recoveries >= ours.recoveries && !is_known(theirs)
        };
        let is_met = |other: usize| {
            let is_cut = self.cut.contains(&(at, other)) || self.cut.contains(&(other, at));
            other != at && !is_cut && self.machines[other].process.is_some()
        };
        let gives_way = (0..self.machines.len()).any(|other| is_met(other) && is_rival(other));
        if gives_way {
            self.coverage.gave_way += 1;
            self.oracle.never_was(ours);
            self.machines[at].folder.store.as_mut().expect("it was opened").ended = Some(Ended::GivenUp);
            self.refuse(at, &Refusal::Ended(Ended::GivenUp));
        }
        gives_way
    }

    /// Machines whose folder is not that of a voter make the quorum larger.
    pub fn fill_places(&mut self) {
        let members = self.members();
        for machine in &mut self.machines {
            let is_blank = machine.folder.store.as_ref().is_none_or(|store| store.log.is_empty());
            if !machine.is_extra && (is_blank || machine.replaces.is_some()) && !members.votes(machine.folder.node) {
                machine.replaces = machine.replaces.filter(|id| members.votes(*id)).or(Some(0));
            }
        }
    }
}
