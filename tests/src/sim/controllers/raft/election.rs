//! Votes: asked for, given, counted. Pure.

use std::collections::BTreeSet;

use super::core::{Body, Effect, Raft, Reached, Role};
use crate::sim::controllers::log::{LeaderId, Payload, Vote};

impl Raft {
    /// Asks everybody for their vote, unless it has none itself.
    pub(super) fn campaign(&mut self, effects: &mut Vec<Effect>) {
        if !self.members().votes(self.id) {
            return;
        }
        let leader = LeaderId { term: self.vote.leader.term + 1, node: self.id };
        self.store_vote(Vote { leader, committed: false }, effects);
        self.role = Role::Candidate { granted: BTreeSet::from([self.id]) };
        let last = self.last();
        let others: Vec<u64> = self.members().others(self.id).collect();
        effects.extend(others.into_iter().map(|other| Effect::Ask(other, Body::AskVote { leader, last })));
        // Alone it needs nobody: it hears itself once its vote is durable.
        effects.push(Effect::Ask(self.id, Body::AskVote { leader, last }));
    }

    pub(super) fn give_vote(
        &mut self,
        leader: LeaderId,
        last: (Option<LeaderId>, u64),
        due_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let asked = Vote { leader, committed: false };
        if leader.node != self.id && asked > self.vote && last >= self.last() {
            self.store_vote(asked, effects);
            self.role = Role::Follower;
            self.due_ms = due_ms;
        }
        effects.push(Effect::Answer(Body::Voted(self.vote)));
    }

    pub(super) fn granted(&mut self, node: u64, theirs: Vote, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.is_outvoted(theirs, effects) || theirs.leader != self.vote.leader {
            return;
        }
        let Role::Candidate { granted } = &mut self.role else { return };
        granted.insert(node);
        let granted = granted.clone();
        if !self.members().is_majority(|id| granted.contains(&id)) {
            return;
        }
        let leader = self.vote.leader;
        self.store_vote(Vote { leader, committed: true }, effects);
        self.role = Role::Leader { reached: std::collections::BTreeMap::new() };
        (self.due_ms, self.leads_since_ms) = (now_ms, now_ms);
        effects.push(Effect::Leads(leader));
        self.propose_as_leader(Payload::Blank, effects);
    }

    /// Steps down if another was voted for since. What it votes itself does not change by that: its next election is above.
    pub(super) fn is_outvoted(&mut self, theirs: Vote, effects: &mut Vec<Effect>) -> bool {
        if theirs <= self.vote || theirs.leader == self.vote.leader {
            return false;
        }
        self.role = Role::Follower;
        // A vote that was given by nobody here: for the number alone.
        let leader = LeaderId { term: theirs.leader.term, node: 0 };
        if leader > self.vote.leader {
            self.store_vote(Vote { leader, committed: false }, effects);
        }
        true
    }

    pub(super) fn progress(&mut self, node: u64) -> Option<&mut Reached> {
        let (next, heard_ms) = (self.log.len() as u64, self.leads_since_ms);
        let Role::Leader { reached } = &mut self.role else { return None };
        Some(reached.entry(node).or_insert(Reached { next, matched: 0, heard_ms }))
    }
}
