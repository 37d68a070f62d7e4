//! A controller starts on a data folder, or says by name why not: what ships decides, in the order in which it does.

use std::fmt;

use uuid::Uuid;

use holdfast_controller::{
    lineage::{Boot, Shown, Table, with_start},
    store::mark::{Around, Change, Mark, Slots, lacks},
};
use holdfast_proto::ids::IncarnationId;

use super::{
    disk::{Ended, Folder},
    log::{Vote, recovered_of},
};

/// Why a controller does not start, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The mark is missing or damaged.
    NoMark,
    /// The store is missing.
    NoStore,
    /// The store lacks what it told.
    Behind(String),
    /// It was refused for good before.
    Ended(Ended),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMark => f.write_str("the mark is missing or damaged"),
            Self::NoStore => f.write_str("the store is missing"),
            Self::Behind(lacks) => write!(f, "the store is behind: {lacks}"),
            Self::Ended(ended) => write!(f, "it was refused for good: {ended:?}"),
        }
    }
}

/// What a process knows of its folder.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The mark, as it goes on.
    pub slots: Slots,
    /// Generation of what was synced last.
    pub generation: u64,
    /// Something was written to the mark since.
    pub is_behind: bool,
    /// The starts on the folder.
    pub boots: Vec<Boot>,
    /// What is known of others.
    pub table: Table,
}

impl Opened {
    /// Writes the mark as it says.
    pub fn put(&mut self, folder: &mut Folder, put: holdfast_controller::store::mark::Put) {
        folder.mark.write(&put);
        if put.sync {
            self.generation = put.generation;
        }
        self.is_behind = !put.sync;
        self.slots.written(put);
    }

    /// The own history as it is now. `log`: what it holds.
    pub fn shown(&self, log: &[super::log::Entry]) -> Shown {
        Shown { boots: self.boots.clone(), generation: self.generation, recovered: recovered_of(log) }
    }
}

/// Opens a folder. All that a start writes is durable when it returns. `incarnation`: of this start.
pub fn open(folder: &mut Folder, incarnation: u128) -> Result<Opened, Refusal> {
    folder.boot_counter += 1;
    let slots = Slots::open(folder.mark.slots.clone(), folder.told).ok_or(Refusal::NoMark)?;
    if folder.store.is_none() && folder.bound {
        return Err(Refusal::NoStore);
    }
    let store = folder.store.get_or_insert_default();
    let (end, vote) = (store.log.len() as u64, store.vote);
    let begins = match slots.found() {
        Some(told) => {
            let told_vote = Vote::from_bytes(&told.vote);
            if let Some(lacks) = lacks((told.end, told_vote.as_ref()), end, vote.as_ref()) {
                return Err(Refusal::Behind(lacks));
            }
            None
        }
        None => Some(Change::BeginsAtOnce(Mark { end, vote: vote.map(Vote::to_bytes).unwrap_or_default() })),
    };
    if let Some(ended) = store.ended {
        return Err(Refusal::Ended(ended));
    }
    let since = slots.generation();
    let incarnation_id = IncarnationId(Uuid::from_u128(incarnation));
    let start = Boot { boot_counter: folder.boot_counter, incarnation_id, since };
    store.boots = with_start(std::mem::take(&mut store.boots), start);
    let (boots, table) = (store.boots.clone(), Table::new(store.known.clone()));
    let mut opened = Opened { slots, generation: 0, is_behind: false, boots, table };
    // What was found may not be synced, and is shown from now on.
    for change in begins.into_iter().chain([Change::Settles]) {
        let around = Around::of(opened.slots.now(), std::iter::once(change));
        let put = opened.slots.set(around.then);
        opened.put(folder, put);
    }
    (folder.told, folder.bound) = (true, true);
    Ok(opened)
}
