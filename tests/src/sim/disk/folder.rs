//! All logs of one broker, and its disk's identity. It outlives the simulated process, as a real disk does.

use std::collections::BTreeMap;

use holdfast_proto::ids::{DirectoryId, TopicPartition};
use holdfast_replication::ReplicaState;

use super::log::{Crash, SimLog};

/// All logs of one broker, and its disk's identity.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Id of the data folder.
    pub directory_id: DirectoryId,
    /// How often a process started on it.
    pub boot_counter: u64,
    /// The logs of its replicas.
    pub logs: BTreeMap<TopicPartition, SimLog>,
    /// Openings of logs that were ever made here.
    opened: u64,
}

impl Disk {
    /// A disk without a log.
    pub fn new(directory_id: DirectoryId) -> Self {
        Self { directory_id, boot_counter: 0, logs: BTreeMap::new(), opened: 0 }
    }

    /// Opens the partition's log, which is made if there was none: what recovery finds.
    pub fn open(&mut self, tp: TopicPartition) -> ReplicaState {
        self.opened += 1;
        let log = self.logs.entry(tp).or_insert_with(|| SimLog::new(self.opened));
        log.renumber(self.opened);
        log.recover()
    }

    /// What stood on a copy that was made earlier comes back.
    pub fn restore(&mut self, copy: &Self) {
        *self = Self { opened: self.opened, ..copy.clone() };
    }

    /// The disk is lost, and a blank one takes its place, on which a process started so often already and did not register.
    pub fn replace(&mut self, directory_id: DirectoryId, boot_counter: u64) {
        *self = Self { opened: self.opened, boot_counter, ..Self::new(directory_id) };
    }

    /// What a crash leaves. Returns how many records it took.
    pub fn crash(&mut self, crash: Crash) -> u64 {
        self.logs.values_mut().map(|log| log.crash(crash)).sum()
    }
}
