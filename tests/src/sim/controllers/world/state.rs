//! What a simulated quorum consists of.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::sim::controllers::{
    disk::{Folder, MarkFile, Store, Write},
    log::{Entry, LeaderId, Members, Payload, recovered_of},
    oracle::Oracle,
    process::{Packet, Process},
    raft::Raft,
    start::{Refusal, open},
};

/// A machine: a folder, and the process on it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) folder: Folder,
    pub(super) process: Option<Process>,
    /// Why it does not start, or ended for good.
    pub(super) refused: Option<String>,
    /// The voter whose place a blank folder is to take; 0: a place that nobody has.
    pub(super) replaces: Option<u64>,
    /// A copy of the folder as it was.
    pub(super) copy: Option<Folder>,
    /// A copy of another's folder: it has no place of its own.
    pub(super) is_extra: bool,
}

/// What comes in its time.
#[derive(Debug)]
pub(super) enum Upcoming {
    /// The process has something to do by the time.
    Tick(usize, u64),
    /// The disk goes on.
    Turn(usize, u64),
    /// What changed is stored.
    Keep(usize, u64),
    Arrives(Box<Packet>),
    Starts(usize),
    /// The operator clears a folder that is refused.
    Cleared(usize),
    /// A client proposes; newcomers ask for their place.
    Clients,
}

/// How often things happened: a run in which nothing did proves nothing.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Leaders that were elected.
    pub led: u64,
    /// Entries that were committed.
    pub committed: u64,
    /// Processes that were killed, and power losses.
    pub killed: u64,
    /// Folders that were an older copy of themselves.
    pub rolled_back: u64,
    /// Folders that were used twice.
    pub copied: u64,
    /// Stores that lost entries or their vote.
    pub cut: u64,
    /// Stores or marks that were gone.
    pub emptied: u64,
    /// Folders that were gone.
    pub lost: u64,
    /// Controllers that did not start, or ended, by name.
    pub refused: u64,
    /// Newcomers that took the place of another.
    pub replaced: u64,
    /// Controllers that went on alone.
    pub recovered: u64,
    /// Those of them that met another one that did already, before anything was decided.
    pub gave_way: u64,
    /// Those of them that decided something beside another one that did.
    pub rivals: u64,
}

impl Coverage {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        let Self { led, committed, killed, rolled_back, copied, cut, emptied, lost, refused, replaced, .. } = other;
        let Self { recovered, gave_way, rivals, .. } = other;
        self.led += led;
        self.committed += committed;
        self.killed += killed;
        self.rolled_back += rolled_back;
        self.copied += copied;
        self.cut += cut;
        self.emptied += emptied;
        self.lost += lost;
        self.refused += refused;
        self.replaced += replaced;
        self.recovered += recovered;
        self.gave_way += gave_way;
        self.rivals += rivals;
    }

    /// What happened in no run.
    pub fn missing(&self) -> Vec<&'static str> {
        let Self { led, committed, killed, rolled_back, copied, cut, emptied, lost, refused, replaced, .. } = self;
        [
            ("led", led),
            ("committed", committed),
            ("killed", killed),
            ("rolled back", rolled_back),
            ("copied", copied),
            ("cut", cut),
            ("emptied", emptied),
            ("lost", lost),
            ("refused", refused),
            ("replaced", replaced),
        ]
        .into_iter()
        .filter_map(|(name, count)| (*count == 0).then_some(name))
        .collect()
    }
}

/// The quorum, its clients and its time.
#[derive(Debug)]
pub struct World {
    pub(super) rng: Rng,
    pub(super) now_ms: u64,
    pub(super) queue: BTreeMap<(u64, u64), Upcoming>,
    pub(super) machines: Vec<Machine>,
    /// Pairs of machines between which nothing arrives, in this direction.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) oracle: Oracle,
    pub(super) coverage: Coverage,
    /// Node ids whose folder was at fault.
    pub(super) at_fault: BTreeSet<u64>,
    pub(super) last: u64,
    pub(super) is_lossy: bool,
}

impl World {
    /// Three or five controllers that formed their quorum, and do not run yet.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = if rng.u8(..3) == 0 { 5 } else { 3 };
        let members = Members { voters: vec![(1..=count).collect()], learners: BTreeSet::new() };
        let first = vec![Entry { by: LeaderId::default(), payload: Payload::Members(members) }];
        let mut oracle = Oracle::default();
        oracle.begins(&first);
        let mut world = Self {
            rng,
            now_ms: 1_000,
            queue: BTreeMap::new(),
            machines: Vec::new(),
            cut: BTreeSet::new(),
            oracle,
            coverage: Coverage::default(),
            at_fault: BTreeSet::new(),
            last: count,
            is_lossy: true,
        };
        for node in 1..=count {
            let mut store = Store::default();
            store.write(Write::Append(0, first.clone()));
            world.add_machine(Folder { store: Some(store), ..blank(node) });
        }
        world.later(0, Upcoming::Clients);
        world
    }

    /// A machine more, which starts soon.
    pub(super) fn add_machine(&mut self, folder: Folder) {
        let at = self.machines.len();
        self.machines.push(Machine {
            folder,
            process: None,
            refused: None,
            replaces: None,
            copy: None,
            is_extra: false,
        });
        let after_ms = self.rng.u64(..50);
        self.later(after_ms, Upcoming::Starts(at));
    }

    /// A number that was given out to nobody.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn later(&mut self, after_ms: u64, upcoming: Upcoming) {
        let number = self.next();
        self.queue.insert((self.now_ms + after_ms, number), upcoming);
    }

    /// The time that it is now, ms.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Random numbers of this run.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Who takes part, as far as it is committed.
    pub(super) fn members(&self) -> Members {
        self.oracle.members()
    }

    /// The machine of a controller that leads, as it believes.
    pub fn leader(&self) -> Option<usize> {
        let leads = |machine: &Machine| machine.process.as_ref().is_some_and(|process| process.raft().leads());
        self.machines.iter().position(leads)
    }

    /// How long somebody waits for a leader, ms.
    pub(super) fn patience_ms(&mut self) -> u64 {
        self.rng.u64(150..400)
    }

    pub(super) fn start(&mut self, at: usize) {
        let (number, patience_ms, now_ms) = (self.next(), self.patience_ms(), self.now_ms);
        let machine = &mut self.machines[at];
        if machine.process.is_some() || machine.refused.is_some() {
            return;
        }
        let opened = match open(&mut machine.folder, number.into()) {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(at, &refusal),
        };
        if self.gives_way(at) {
            return;
        }
        let machine = &mut self.machines[at];
        let node = machine.folder.node;
        let store = machine.folder.store.as_ref().expect("it was opened");
        let raft = Raft::new(node, store, now_ms, patience_ms);
        let caller = crate::sim::controllers::process::Caller { machine: at, start: number, node };
        machine.process = Some(Process::new(caller, opened, raft));
        let after_ms = self.rng.u64(..1_000);
        self.later(after_ms, Upcoming::Keep(at, number));
        self.later(patience_ms, Upcoming::Tick(at, number));
    }

    /// It does not start, and says why: the operator moves its folder away in time.
    pub(super) fn refuse(&mut self, at: usize, refusal: &Refusal) {
        let node = self.machines[at].folder.node;
        let is_outranked = |log: &[Entry]| recovered_of(log).is_some_and(|era| Some(era) < self.oracle.era());
        let store = self.machines[at].folder.store.as_ref();
        let joined_those_given_up = store.is_some_and(|store| is_outranked(&store.log));
        assert!(
            self.at_fault.contains(&node) || joined_those_given_up,
            "controller {node} is refused, and its folder is as it was: {refusal}"
        );
        self.coverage.refused += 1;
        self.machines[at].refused = Some(refusal.to_string());
        self.machines[at].process = None;
        let after_ms = self.rng.u64(50..2_000);
        self.later(after_ms, Upcoming::Cleared(at));
    }
}

/// A folder that holds nothing.
pub(super) fn blank(node: u64) -> Folder {
    Folder { node, boot_counter: 0, told: false, bound: false, store: None, mark: MarkFile::default() }
}
