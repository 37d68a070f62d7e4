//! A follower takes what its leader sends. Pure.

use super::core::{Body, Effect, Raft, Role};
use crate::sim::controllers::{
    disk::Write,
    log::{Entry, LeaderId, Vote},
};

impl Raft {
    pub(super) fn append(
        &mut self,
        leader: LeaderId,
        (from, before, entries): (u64, Option<LeaderId>, Vec<Entry>),
        committed: u64,
        effects: &mut Vec<Effect>,
    ) {
        let theirs = Vote { leader, committed: true };
        // Two processes with one id: the one that leads takes nothing from the other.
        if theirs < self.vote || (leader.node == self.id && self.leads()) {
            return effects.push(Effect::Answer(Body::Appended(self.vote, Err(0))));
        }
        self.store_vote(theirs, effects);
        self.role = Role::Follower;
        let own_before = from.checked_sub(1).map(|index| self.log.get(index as usize).map(|entry| entry.by));
        let fits = match own_before {
            None => true,
            Some(own) => own.is_some() && own == before,
        };
        if !fits {
            let may_fit = from.saturating_sub(1).min(self.log.len() as u64);
            return effects.push(Effect::Answer(Body::Appended(self.vote, Err(may_fit))));
        }
        let end = from + entries.len() as u64;
        let same = (from..)
            .zip(&entries)
            .take_while(|(index, entry)| self.log.get(*index as usize).is_some_and(|own| own.by == entry.by));
        let known = same.count();
        let cut = from + known as u64;
        if known < entries.len() {
            if cut < self.log.len() as u64 {
                self.log.truncate(cut as usize);
                self.flushed = self.flushed.min(cut);
                effects.push(Effect::Write(Write::Cut(cut)));
            }
            self.push(entries.into_iter().skip(known).collect(), effects);
        }
        self.commit(committed.min(end), effects);
        effects.push(Effect::Answer(Body::Appended(self.vote, Ok(end))));
    }

    pub(super) fn commit(&mut self, committed: u64, effects: &mut Vec<Effect>) {
        if committed > self.committed {
            self.committed = committed;
            effects.push(Effect::Committed(committed));
        }
    }
}
