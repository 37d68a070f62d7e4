//! What stands in the log of a simulated controller: entries, votes and members, ordered as the consensus orders them.

use std::{collections::BTreeSet, fmt};

use holdfast_proto::refusal::Recovered;

/// A term and the controller that leads in it, or asks to: of two in one term the higher node id goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaderId {
    /// Grows with each election.
    pub term: u64,
    /// Node id of the data folder.
    pub node: u64,
}

/// The last vote of a controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// Whom the vote is for.
    pub leader: LeaderId,
    /// It is known that a majority gave it.
    pub committed: bool,
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leader, committed } = self;
        write!(f, "{} of {}{}", leader.term, leader.node, if *committed { ", who leads" } else { "" })
    }
}

impl Vote {
    /// As it stands in the mark.
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { leader, committed } = self;
        [&leader.term.to_le_bytes()[..], &leader.node.to_le_bytes()[..], &[u8::from(committed)]].concat()
    }

    /// Of the mark; `None` if there was no vote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (term, rest) = bytes.split_first_chunk::<8>()?;
        let (node, rest) = rest.split_first_chunk::<8>()?;
        let leader = LeaderId { term: u64::from_le_bytes(*term), node: u64::from_le_bytes(*node) };
        Some(Self { leader, committed: rest == [1] })
    }
}

/// Who takes part, by node id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// One set of voters; two while one of them is replaced by another: each needs its majority.
    pub voters: Vec<BTreeSet<u64>>,
    /// Who is sent the log and does not vote.
    pub learners: BTreeSet<u64>,
}

impl Members {
    /// Everybody but `id` who is sent the log.
    pub fn others(&self, id: u64) -> impl Iterator<Item = u64> {
        let all: BTreeSet<u64> = self.voters.iter().flatten().chain(&self.learners).copied().collect();
        all.into_iter().filter(move |other| *other != id)
    }

    /// True if these are a majority.
    pub fn is_majority(&self, of: impl Fn(u64) -> bool) -> bool {
        self.voters.iter().all(|voters| 2 * voters.iter().filter(|id| of(**id)).count() > voters.len())
    }

    /// True if it votes.
    pub fn votes(&self, id: u64) -> bool {
        self.voters.iter().any(|voters| voters.contains(&id))
    }
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Begins a leadership: it does nothing.
    Blank,
    /// A command of a client, by its number.
    Command(u64),
    /// Changes who takes part.
    Members(Members),
    /// The controllers were recovered from one of them, which goes on alone.
    Recovery {
        /// How often, and from whom.
        recovered: Recovered,
        /// All others that it knew.
        given_up: BTreeSet<u64>,
        /// It goes on by itself.
        members: Members,
    },
}

/// An entry of the log, at an index of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leadership that proposed it.
    pub by: LeaderId,
    /// What it does where it is committed.
    pub payload: Payload,
}

static NOBODY: Members = Members { voters: Vec::new(), learners: BTreeSet::new() };

/// The members by the last entry that says so, whether it is committed or not; and its index.
pub fn members_of(log: &[Entry]) -> (u64, &Members) {
    let found = log.iter().enumerate().rev().find_map(|(index, entry)| match &entry.payload {
        Payload::Members(members) | Payload::Recovery { members, .. } => Some((index as u64, members)),
        Payload::Blank | Payload::Command(_) => None,
    });
    found.unwrap_or((0, &NOBODY))
}

/// The last recovery that a log tells of: it stands in the snapshot that every log begins with since.
pub fn recovered_of(log: &[Entry]) -> Option<Recovered> {
    let recoveries = log.iter().rev().find_map(|entry| match &entry.payload {
        Payload::Recovery { recovered, .. } => Some(*recovered),
        _ => None,
    });
    (!log.is_empty()).then(|| recoveries.unwrap_or_default())
}

/// True if this controller was given up in a recovery that the log tells of.
pub fn is_given_up(log: &[Entry], id: u64) -> bool {
    log.iter().any(|entry| matches!(&entry.payload, Payload::Recovery { given_up, .. } if given_up.contains(&id)))
}
