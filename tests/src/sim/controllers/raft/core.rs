//! One controller of the consensus: its state, what reaches it, and what it emits. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::controllers::{
    disk::{Store, Write},
    log::{Entry, LeaderId, Members, Payload, Vote, members_of},
};

/// What one controller asks of another, or answers.
#[derive(Clone, Debug)]
pub enum Body {
    /// Asks for its vote.
    AskVote {
        /// The leadership that it asks for.
        leader: LeaderId,
        /// Length of the log, and who proposed its last entry.
        last: (Option<LeaderId>, u64),
    },
    /// The vote of who answers, after it was asked.
    Voted(Vote),
    /// Entries, from an index on.
    Append {
        /// The leadership that sends them.
        leader: LeaderId,
        /// Index of the first of them.
        from: u64,
        /// Who proposed the entry before.
        before: Option<LeaderId>,
        /// The entries, maybe none.
        entries: Vec<Entry>,
        /// How much of the log is committed.
        committed: u64,
    },
    /// The vote of who answers; and how far its log is that of the leader, or how much of it may be.
    Appended(Vote, Result<u64, u64>),
    /// Asks who is there; it is nothing of the consensus.
    Meet,
    /// Somebody is there, and answers.
    Met,
}

/// What a step emits.
#[derive(Clone, Debug)]
pub enum Effect {
    /// This is to be stored.
    Write(Write),
    /// A question to a node.
    Ask(u64, Body),
    /// The answer to what was taken.
    Answer(Body),
    /// It leads in this from now on.
    Leads(LeaderId),
    /// So much of the log is committed.
    Committed(u64),
}

/// Follows, asks for votes, or leads.
#[derive(Clone, Debug)]
pub(super) enum Role {
    Follower,
    Candidate { granted: BTreeSet<u64> },
    Leader { reached: BTreeMap<u64, Reached> },
}

/// How far another member is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) next: u64,
    pub(super) matched: u64,
    pub(super) heard_ms: u64,
}

/// One controller, as the consensus sees it.
#[derive(Clone, Debug)]
pub struct Raft {
    pub(super) id: u64,
    pub(super) vote: Vote,
    pub(super) log: Vec<Entry>,
    /// How much of the log is durable.
    pub(super) flushed: u64,
    pub(super) committed: u64,
    pub(super) role: Role,
    /// When it asks for votes, or sends the next heartbeat, ms.
    pub(super) due_ms: u64,
    /// Nobody was silent for longer than it leads, ms.
    pub(super) leads_since_ms: u64,
}

/// How often a leader speaks, ms.
const HEARTBEAT_MS: u64 = 50;
/// Entries of one message.
pub(super) const MAX_ENTRIES: usize = 16;

impl Raft {
    /// Of what is stored. `patience_ms`: how long it waits before it asks for votes.
    pub fn new(id: u64, store: &Store, now_ms: u64, patience_ms: u64) -> Self {
        let (vote, log) = (store.vote.unwrap_or_default(), store.log.clone());
        let flushed = log.len() as u64;
        let due_ms = now_ms + patience_ms;
        Self { id, vote, log, flushed, committed: 0, role: Role::Follower, due_ms, leads_since_ms: 0 }
    }

    /// The log, with what is not durable yet.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The last vote that it gave.
    pub const fn vote(&self) -> Vote {
        self.vote
    }

    /// True if it leads.
    pub const fn leads(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// How much of the log it knows to be committed.
    pub const fn committed(&self) -> u64 {
        self.committed
    }

    /// Who takes part, as it knows.
    pub fn members(&self) -> &Members {
        members_of(&self.log).1
    }

    /// When [`Self::tick`] does something next, ms.
    pub const fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// Time passes. `patience_ms`: until the next election, if it asks for votes now.
    pub fn tick(&mut self, now_ms: u64, patience_ms: u64, effects: &mut Vec<Effect>) {
        if now_ms < self.due_ms {
            return;
        }
        if self.leads() {
            self.due_ms = now_ms + HEARTBEAT_MS;
            self.speak(effects);
        } else {
            self.due_ms = now_ms + patience_ms;
            self.campaign(effects);
        }
    }

    /// A question of another. Emits an answer.
    pub fn asked(&mut self, body: Body, now_ms: u64, patience_ms: u64, effects: &mut Vec<Effect>) {
        match body {
            Body::AskVote { leader, last } => self.give_vote(leader, last, now_ms + patience_ms, effects),
            Body::Append { leader, from, before, entries, committed } => {
                if (Vote { leader, committed: true }) >= self.vote {
                    self.due_ms = now_ms + patience_ms;
                }
                self.append(leader, (from, before, entries), committed, effects);
            }
            Body::Voted(_) | Body::Appended(..) | Body::Meet | Body::Met => unreachable!("an answer is no question"),
        }
    }

    /// The answer of a node to a question of its own.
    pub fn answered(&mut self, node: u64, body: &Body, now_ms: u64, effects: &mut Vec<Effect>) {
        match body {
            Body::Voted(vote) => self.granted(node, *vote, now_ms, effects),
            Body::Appended(vote, reached) => self.reached(node, *vote, *reached, now_ms, effects),
            Body::AskVote { .. } | Body::Append { .. } | Body::Meet | Body::Met => {
                unreachable!("a question is no answer");
            }
        }
    }

    /// The log is durable up to there, if it was not cut since.
    pub fn flushed(&mut self, end: u64, effects: &mut Vec<Effect>) {
        self.flushed = end.min(self.log.len() as u64);
        self.count(effects);
    }

    pub(super) fn store_vote(&mut self, vote: Vote, effects: &mut Vec<Effect>) {
        if vote != self.vote {
            self.vote = vote;
            effects.push(Effect::Write(Write::Vote(vote)));
        }
    }

    pub(super) fn push(&mut self, entries: Vec<Entry>, effects: &mut Vec<Effect>) {
        if !entries.is_empty() {
            effects.push(Effect::Write(Write::Append(self.log.len() as u64, entries.clone())));
            self.log.extend(entries);
        }
    }

    pub(super) fn last(&self) -> (Option<LeaderId>, u64) {
        (self.log.last().map(|entry| entry.by), self.log.len() as u64)
    }

    pub(super) fn propose_as_leader(&mut self, payload: Payload, effects: &mut Vec<Effect>) {
        self.push(vec![Entry { by: self.vote.leader, payload }], effects);
        self.speak(effects);
    }
}
