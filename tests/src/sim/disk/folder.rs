//! All logs of one broker, and its disk's identity. It outlives the simulated process, as a real disk does.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_metadata::trust::{DistrustReason, ReplicaReport, Vouch};
use holdfast_proto::ids::{DirectoryId, FolderToken, Offset, TopicPartition};
use holdfast_replication::ReplicaState;

use super::{
    ages::Ages,
    log::{Crash, SimLog},
};
use crate::sim::clocks::{KeptLook, Machine};

/// All logs of one broker, and its disk's identity.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Id of the data folder.
    pub directory_id: DirectoryId,
    /// How often a process started on it.
    pub boot_counter: u64,
    /// The logs of its replicas.
    pub logs: BTreeMap<TopicPartition, SimLog>,
    /// Tokens of which one is the last that the controllers took.
    pub tokens: Vec<FolderToken>,
    /// The list of replicas that it holds; `None` if it is lost.
    pub held: Option<BTreeSet<TopicPartition>>,
    /// Replicas that its broker does not vouch for.
    pub distrusted: BTreeMap<TopicPartition, DistrustReason>,
    /// Logs that may lack what they counted as held.
    pub doubted: BTreeSet<TopicPartition>,
    /// True if it was copied file by file, and no token was confirmed since.
    pub was_copied: bool,
    /// The clocks of the machine that it is in.
    pub machine: Machine,
    /// What these said when a process kept it here last.
    pub look: Option<KeptLook>,
    /// When the batches of its logs were appended.
    pub ages: BTreeMap<TopicPartition, Ages>,
    /// Openings of logs that were ever made here.
    opened: u64,
}

impl Disk {
    /// A disk without a log.
    pub fn new(directory_id: DirectoryId) -> Self {
        Self {
            directory_id,
            boot_counter: 0,
            logs: BTreeMap::new(),
            tokens: Vec::new(),
            held: Some(BTreeSet::new()),
            distrusted: BTreeMap::new(),
            doubted: BTreeSet::new(),
            was_copied: false,
            machine: Machine::default(),
            look: None,
            ages: BTreeMap::new(),
            opened: 0,
        }
    }

    /// Opens the partition's log, which is made if there was none: what recovery finds.
    pub fn open(&mut self, tp: TopicPartition) -> ReplicaState {
        self.opened += 1;
        let log = self.logs.entry(tp).or_insert_with(|| SimLog::new(self.opened));
        log.renumber(self.opened);
        if let Some(held) = &mut self.held {
            held.insert(tp);
        }
        log.recover()
    }

    /// What a starting process finds it makes durable, before it says anything of it.
    pub fn recover(&mut self) {
        for log in self.logs.values_mut() {
            log.recover();
        }
    }

    /// Replicas that are not vouched for: noted, or listed and not there.
    pub fn untrusted(&self) -> BTreeMap<TopicPartition, DistrustReason> {
        let listed = self.held.iter().flatten();
        let vanished = listed.filter(|tp| !self.logs.contains_key(tp)).map(|tp| (*tp, DistrustReason::Vanished));
        vanished.chain(self.distrusted.iter().map(|(tp, reason)| (*tp, *reason))).collect()
    }

    /// What the broker says of its replicas when it registers.
    pub fn reports(&self) -> Vec<ReplicaReport> {
        let untrusted = self.untrusted();
        let report = |tp: &TopicPartition, leader_epoch, end, vouch| ReplicaReport {
            topic_id: tp.topic_id,
            partition: tp.partition,
            leader_epoch,
            end: Offset(end),
            vouch,
        };
        let sound = self.logs.iter().filter(|(tp, _)| !untrusted.contains_key(tp)).map(|(tp, log)| {
            let is_doubtful = self.was_copied || self.doubted.contains(tp);
            let vouch = if is_doubtful { Vouch::Doubtful } else { Vouch::Full };
            let epoch = log.epochs().of_last_record(Offset(log.start()), Offset(log.end()), !is_doubtful);
            report(tp, epoch, log.end(), vouch)
        });
        let others = untrusted.iter().map(|(tp, reason)| report(tp, None, 0, Vouch::Not(*reason)));
        sound.chain(others).collect()
    }

    /// What stood on a copy that was made earlier comes back; it may be one of a running process. `by_file`: it was
    /// copied file by file, which the files themselves show, and not below them.
    pub fn restore(&mut self, copy: &Self, by_file: bool) {
        let (opened, machine) = (self.opened, self.machine);
        *self = Self { opened, machine, was_copied: copy.was_copied || by_file, ..copy.clone() };
        self.crash(Crash::PowerLoss { done: 0, kept: 0 });
    }

    /// The disk is lost, and a blank one takes its place, on which a process started so often already and did not register.
    pub fn replace(&mut self, directory_id: DirectoryId, boot_counter: u64) {
        let (opened, machine) = (self.opened, self.machine);
        *self = Self { boot_counter, machine, opened, ..Self::new(directory_id) };
    }

    /// How often records were made durable, about: it moves when they are.
    pub fn syncs(&self) -> u64 {
        self.logs.values().map(SimLog::flushed).sum()
    }

    /// What a crash leaves. Returns how many records it took.
    pub fn crash(&mut self, crash: Crash) -> u64 {
        self.logs.values_mut().map(|log| log.crash(crash)).sum()
    }
}
