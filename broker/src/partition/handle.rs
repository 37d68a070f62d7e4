//! The handle of one partition replica that is open on this broker.
//!
//! The actor writes the view after each step; services read it. Nothing else is changed from both sides.

use std::sync::Arc;

use parking_lot::Mutex;

use holdfast_log::LogReader;
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicPartition},
};

use super::{Waiters, tail::PartitionTail};
use crate::actors::PartitionAddress;

/// Where the replica stood after its actor's last step, as consumers need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Epoch of the last assignment; `None` before the first.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Partition epoch of the last assignment; `None` before the first.
    pub partition_epoch: Option<PartitionEpoch>,
    /// End of what consumers may read here, or why they may not. Never above what the whole ISR has.
    pub readable: Result<Offset, ErrorCode>,
    /// First offset.
    pub log_start: Offset,
    /// Log end offset.
    pub log_end: Offset,
}

impl View {
    /// Checks the leader epoch that a consumer names (KIP-320).
    pub fn check_epoch(&self, named: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        match (named, self.leader_epoch) {
            (None, _) => Ok(()),
            (Some(named), Some(current)) if named == current => Ok(()),
            (Some(named), Some(current)) if named < current => Err(ErrorCode::FencedLeaderEpoch),
            (Some(_), _) => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }
}

/// What its actor shares of one open partition replica.
#[derive(Debug)]
pub struct Partition {
    /// Which one.
    pub id: TopicPartition,
    /// Its recent batches.
    pub tail: Arc<PartitionTail>,
    /// Its batches on disk.
    pub reader: LogReader,
    /// Consumers that wait for more.
    pub waiters: Arc<Waiters>,
    view: Mutex<View>,
}

impl Partition {
    /// What is shared of a replica that was just opened and has no role yet.
    pub(crate) fn new(id: TopicPartition, tail: Arc<PartitionTail>, reader: LogReader, view: View) -> Self {
        Self { id, tail, reader, waiters: Arc::default(), view: Mutex::new(view) }
    }

    /// Where it stands.
    pub fn view(&self) -> View {
        *self.view.lock()
    }

    /// Says where it stands, and wakes consumers if that changes what they may read.
    pub(crate) fn publish(&self, view: View) {
        let old = std::mem::replace(&mut *self.view.lock(), view);
        if old.readable != view.readable || old.leader_epoch != view.leader_epoch {
            self.waiters.wake_all();
        }
    }
}

/// An open replica and its actor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replica {
    partition: Arc<Partition>,
    actor: PartitionAddress,
}

impl Replica {
    /// A replica whose actor was started.
    pub(crate) fn new(partition: Arc<Partition>, actor: PartitionAddress) -> Self {
        Self { partition, actor }
    }

    /// Its actor.
    pub fn actor(&self) -> &PartitionAddress {
        &self.actor
    }
}

impl std::ops::Deref for Replica {
    type Target = Partition;

    fn deref(&self) -> &Partition {
        &self.partition
    }
}
