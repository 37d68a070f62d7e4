//! A leader sends its log, counts who holds it, and changes who takes part. Pure.

use std::collections::BTreeSet;

use super::core::{Body, Effect, MAX_ENTRIES, Raft, Role};
use crate::sim::controllers::log::{Entry, Members, Payload, Vote, members_of};

impl Raft {
    /// Proposes a command, if it leads.
    pub fn propose(&mut self, command: u64, effects: &mut Vec<Effect>) {
        if self.leads() {
            self.propose_as_leader(Payload::Command(command), effects);
        }
    }

    /// Lets a newcomer take the place of a voter, or one that nobody has (`lost` is 0), a step at each call: it is sent the
    /// log, and once it has caught up and the other was silent for so long, it votes in its place.
    pub fn replace(&mut self, newcomer: u64, lost: u64, now_ms: u64, silent_ms: u64, effects: &mut Vec<Effect>) {
        let (at, members) = members_of(&self.log);
        let members = members.clone();
        // One change at a time, and none before a leader knows what is committed.
        let is_settled = self.committed > at && self.log.last().is_some_and(|entry| entry.by == self.vote.leader);
        if !self.leads() || !is_settled || members.voters.len() != 1 || members.votes(newcomer) {
            return;
        }
        let mut next = members.clone();
        if !members.learners.contains(&newcomer) {
            next.learners.insert(newcomer);
            self.propose_as_leader(Payload::Members(next), effects);
            return;
        }
        let (heard_ms, caught_up) = (self.heard_ms(lost), self.matched(newcomer) >= self.committed);
        let is_silent = lost == 0 || now_ms >= heard_ms.saturating_add(silent_ms);
        if (lost != 0 && !members.votes(lost)) || lost == self.id || !caught_up || !is_silent {
            return;
        }
        let mut voters = members.voters[0].clone();
        voters.remove(&lost);
        voters.insert(newcomer);
        next.voters.push(voters);
        next.learners.remove(&newcomer);
        self.propose_as_leader(Payload::Members(next), effects);
    }

    fn heard_ms(&mut self, node: u64) -> u64 {
        self.progress(node).map_or(u64::MAX, |reached| reached.heard_ms)
    }

    fn matched(&mut self, node: u64) -> u64 {
        self.progress(node).map_or(0, |reached| reached.matched)
    }

    /// Sends everybody what they lack.
    pub(super) fn speak(&mut self, effects: &mut Vec<Effect>) {
        let (leader, committed) = (self.vote.leader, self.committed);
        let others: Vec<u64> = self.members().others(self.id).collect();
        for other in others {
            let Some(from) = self.progress(other).map(|reached| reached.next) else { return };
            let from = from.min(self.log.len() as u64);
            let before = from.checked_sub(1).map(|index| self.log[index as usize].by);
            // A recovery stands in a snapshot: nobody has a part of what lies before.
            let at_once = self.recovered_end().saturating_sub(from as usize).max(MAX_ENTRIES);
            let entries = self.log[from as usize..].iter().take(at_once).cloned().collect();
            effects.push(Effect::Ask(other, Body::Append { leader, from, before, entries, committed }));
        }
    }

    fn recovered_end(&self) -> usize {
        let is_recovery = |entry: &Entry| matches!(entry.payload, Payload::Recovery { .. });
        self.log.iter().rposition(is_recovery).map_or(0, |index| index + 1)
    }

    pub(super) fn reached(
        &mut self,
        node: u64,
        theirs: Vote,
        reached: Result<u64, u64>,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_outvoted(theirs, effects) || theirs.leader != self.vote.leader {
            return;
        }
        let end = self.log.len() as u64;
        let Some(progress) = self.progress(node) else { return };
        progress.heard_ms = now_ms;
        match reached {
            Ok(to) => {
                progress.matched = progress.matched.max(to);
                progress.next = progress.matched.min(end);
                self.count(effects);
            }
            Err(may_fit) => progress.next = may_fit,
        }
    }

    /// An entry of this leadership that a majority holds durably is committed, and all before it.
    pub(super) fn count(&mut self, effects: &mut Vec<Effect>) {
        let Role::Leader { reached } = &self.role else { return };
        let holds = |id: u64| {
            if id == self.id { self.flushed } else { reached.get(&id).map_or(0, |reached| reached.matched) }
        };
        let members = self.members();
        let mut ends: BTreeSet<u64> = reached.values().map(|reached| reached.matched).collect();
        ends.insert(self.flushed);
        let counts = |end: &u64| {
            *end > self.committed
                && self.log.get(*end as usize - 1).is_some_and(|entry| entry.by == self.vote.leader)
                && members.is_majority(|id| holds(id) >= *end)
        };
        let Some(end) = ends.into_iter().rev().find(counts) else { return };
        self.commit(end, effects);
        self.settle_members(effects);
    }

    /// Ends a change of the members once it is committed.
    fn settle_members(&mut self, effects: &mut Vec<Effect>) {
        let (at, members) = members_of(&self.log);
        let [_, then] = &members.voters[..] else { return };
        if self.committed > at {
            let next = Members { voters: vec![then.clone()], learners: members.learners.clone() };
            self.propose_as_leader(Payload::Members(next), effects);
        }
    }
}
