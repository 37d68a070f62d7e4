//! The data folder of a simulated controller: its identity, its store, and the mark beside it; and what is written to them.

use std::collections::BTreeMap;

use holdfast_controller::{
    lineage::{Boot, Kept},
    store::mark::{Change, Mark, Put, SLOTS},
};

use super::log::{Entry, Vote};

/// A data folder, as a copy of it has it.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Belongs to the folder.
    pub node: u64,
    /// Grows with each start.
    pub boot_counter: u64,
    /// There was a mark, and it has to be there.
    pub told: bool,
    /// It belongs to the cluster: its store was made before.
    pub bound: bool,
    /// `None`: there is no store, or no part of one.
    pub store: Option<Store>,
    /// The file beside the store.
    pub mark: MarkFile,
}

/// The database of a controller.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// The last vote that was given.
    pub vote: Option<Vote>,
    /// The whole log, from index 0.
    pub log: Vec<Entry>,
    /// The starts on this folder.
    pub boots: Vec<Boot>,
    /// What is known of others.
    pub known: BTreeMap<u64, Kept>,
    /// Why it starts no more.
    pub ended: Option<Ended>,
}

/// Why a folder starts no more, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is an older copy, or used twice.
    Copied,
    /// Its metadata is from before a recovery.
    GivenUp,
}

/// The slots of the mark, as the kernel has them.
#[derive(Clone, Debug, Default)]
pub struct MarkFile {
    /// Each slot that is whole.
    pub slots: [Option<(u64, Mark)>; SLOTS as usize],
    /// What a power loss leaves of the last one that was not synced.
    unsynced: Option<(usize, Option<(u64, Mark)>)>,
}

impl MarkFile {
    /// Writes a slot as a whole.
    pub fn write(&mut self, put: &Put) {
        let slot = put.slot as usize;
        let before = self.slots[slot].replace((put.generation, put.mark.clone()));
        if put.sync {
            self.unsynced = None;
        } else if self.unsynced.is_none() {
            self.unsynced = Some((slot, before));
        }
    }

    /// Power fails: what was not synced may be there, or what stood there before.
    pub fn lose_power(&mut self, kept: bool) {
        if let Some((slot, before)) = self.unsynced.take()
            && !kept
        {
            self.slots[slot] = before;
        }
    }

    /// The newest mark of all, whole.
    pub fn newest(&self) -> Option<&(u64, Mark)> {
        self.slots.iter().flatten().max_by_key(|(generation, _)| *generation)
    }
}

/// One write to the store.
#[derive(Clone, Debug)]
pub enum Write {
    /// A vote is given.
    Vote(Vote),
    /// Entries at the end of the log, from an index on.
    Append(u64, Vec<Entry>),
    /// Every entry from there on goes.
    Cut(u64),
    /// What is known of others.
    Known(BTreeMap<u64, Kept>),
    /// The mark is synced.
    Settle,
    /// It starts no more.
    End(Ended),
}

impl Write {
    /// What it does to what may be told.
    pub fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Vote(vote) => Change::Voted(vote.to_bytes()),
            Self::Append(from, entries) => Change::Ends(from + entries.len() as u64),
            Self::Cut(from) => Change::Cut(*from),
            Self::Settle => Change::Settles,
            Self::Known(_) | Self::End(_) => return None,
        })
    }
}

impl Store {
    /// Carries a write out.
    pub fn write(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => self.vote = Some(vote),
            Write::Append(from, entries) => {
                assert_eq!(from, self.log.len() as u64, "the log has no hole");
                self.log.extend(entries);
            }
            Write::Cut(from) => self.log.truncate(from as usize),
            Write::Known(known) => self.known = known,
            Write::Settle => {}
            Write::End(ended) => self.ended = self.ended.or(Some(ended)),
        }
    }
}
