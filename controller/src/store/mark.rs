//! What was told of a store, as it changes with each write, and what of it survives where. Pure; `told` is the file, and
//! `writer` calls in this order.
//!
//! A file has [`SLOTS`] places for a mark; the whole one with the highest generation counts. Two take turns for what is
//! synced, so that one of them is always whole; the third is for what is not.

use std::fmt::Display;

/// Places in the file.
pub const SLOTS: u64 = 3;
/// The slot of what is not synced.
pub(super) const LOOSE: u64 = 2;
/// Entries that the end of the log may go ahead of what is synced of the mark.
const SYNC_ENTRIES: u64 = 256;

/// What the others were told of this store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Index after the last entry of the log; 0 for an empty log.
    pub end: u64,
    /// The last vote, as its owner encodes it; empty if there was none.
    pub vote: Vec<u8>,
}

/// What a write to the store does to what may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Entries were appended, and the log ends there (excluded).
    Ends(u64),
    /// Every entry from there on goes.
    Cut(u64),
    /// Every entry up to there, included, goes; a snapshot has them.
    Purged(u64),
    /// A vote was given.
    Voted(Vec<u8>),
    /// This holds, whatever was told before.
    Begins(Mark),
    /// As [`Self::Begins`], and the mark is written at once.
    BeginsAtOnce(Mark),
    /// The mark is written and synced as it is.
    Settles,
}

/// What becomes of the mark around one batch of writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// Before the batch is written: the log is cut.
    pub lowered: Option<Mark>,
    /// Once it is durable.
    pub then: Mark,
    /// It is written and synced whatever it says: there was none before, or it is settled.
    pub settles: bool,
}

impl Around {
    /// Of a batch that does this to the mark, in order; `now`: the mark as it is.
    pub fn of(now: &Mark, changes: impl Iterator<Item = Change>) -> Self {
        let (mut then, mut lowest, mut settles) = (now.clone(), now.end, false);
        for change in changes {
            match change {
                Change::Ends(end) => then.end = end,
                Change::Cut(from) => {
                    then.end = then.end.min(from);
                    lowest = lowest.min(from);
                }
                Change::Purged(up_to) => then.end = then.end.max(up_to.saturating_add(1)),
                Change::Voted(vote) => then.vote = vote,
                Change::Begins(mark) => then = mark,
                Change::BeginsAtOnce(mark) => (then, settles) = (mark, true),
                Change::Settles => settles = true,
            }
        }
        let lowered = (lowest < now.end).then(|| Mark { end: lowest, vote: now.vote.clone() });
        Self { lowered, then, settles }
    }
}

/// A mark as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The slot that is written.
    pub slot: u64,
    /// One more than the last.
    pub generation: u64,
    /// What is told from then on.
    pub mark: Mark,
    /// True if it has to be durable before anything is told.
    pub sync: bool,
}

/// What the file holds, and where the next mark goes.
#[derive(Clone, Debug)]
pub struct Slots {
    generation: u64,
    /// Which of the two that take turns is written next: the older one.
    next_slot: u64,
    synced_end: u64,
    found: Option<Mark>,
    now: Mark,
}

impl Slots {
    /// Of what was read: generation and mark of each slot that is whole. With `kept` there has to be a mark: `None` if there
    /// is none. Else whatever stands there is of no account.
    pub fn open(mut read: [Option<(u64, Mark)>; SLOTS as usize], kept: bool) -> Option<Self> {
        let generation_of = |slot: &Option<(u64, Mark)>| slot.as_ref().map_or(0, |(generation, _)| *generation);
        let next_slot = u64::from(generation_of(&read[0]) > generation_of(&read[1]));
        // Above every generation that is there, also where it does not count.
        let newest = read.iter_mut().max_by_key(|slot| generation_of(slot)).and_then(Option::take);
        if kept && newest.is_none() {
            return None;
        }
        let (generation, newest) = newest.map_or((0, None), |(at, mark)| (at, Some(mark)));
        let found = newest.filter(|_| kept);
        let now = found.clone().unwrap_or_default();
        Some(Self { generation, next_slot, synced_end: now.end, found, now })
    }

    /// Generation of the newest mark that was found or written since: nothing that was told has a higher one.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What was told before this start; `None` if nothing is known of it.
    pub const fn found(&self) -> Option<&Mark> {
        self.found.as_ref()
    }

    /// The mark as it is now.
    pub const fn now(&self) -> &Mark {
        &self.now
    }

    /// How a mark is raised of what the store holds durably, before it is told; `None` if it says that already. It is synced if
    /// the vote changed, or enough entries.
    pub fn raise(&self, mark: Mark) -> Option<Put> {
        if mark == self.now {
            return None;
        }
        let sync = mark.vote != self.now.vote || mark.end >= self.synced_end.saturating_add(SYNC_ENTRIES);
        Some(self.put(mark, sync))
    }

    /// How a mark is set, durably: before the log is cut to its end, as it is made, and as it is settled.
    pub fn set(&self, mark: Mark) -> Put {
        self.put(mark, true)
    }

    fn put(&self, mark: Mark, sync: bool) -> Put {
        let slot = if sync { self.next_slot } else { LOOSE };
        Put { slot, generation: self.generation + 1, mark, sync }
    }

    /// That was written, and synced if it had to be.
    pub fn written(&mut self, put: Put) {
        let Put { slot: _, generation, mark, sync } = put;
        self.generation = generation;
        if sync {
            self.next_slot = 1 - self.next_slot;
            self.synced_end = mark.end;
        }
        self.now = mark;
    }
}

/// What a store lacks that ends at `end` (excluded) and holds this vote, of what was told: an end, and a vote if there was one.
pub fn lacks<V: PartialOrd + Display>(told: (u64, Option<&V>), end: u64, vote: Option<&V>) -> Option<String> {
    let (told_end, told_vote) = told;
    if end < told_end {
        return Some(format!(
            "it acknowledged the log up to index {told_end}, and holds it up to {end} (both excluded)"
        ));
    }
    let told_vote = told_vote?;
    match vote {
        Some(vote) if *vote >= *told_vote => None,
        Some(vote) => Some(format!("it gave the vote {told_vote}, and holds {vote}")),
        None => Some(format!("it gave the vote {told_vote}, and holds none")),
    }
}
