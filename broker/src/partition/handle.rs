//! The handle of one partition replica that is open on this broker.
//!
//! The actor writes the view after each step; services read it. Nothing else is changed from both sides.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;

use holdfast_log::LogReader;
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicPartition},
};
use holdfast_replication::Replica;

use super::{
    answer_memory::{AnswerRoom, Wanted},
    answer_reader::Reader,
    findings::{Finding, Findings, Reporter},
    last_word::LastWord,
    read::{self, DiskRead, Place, ReadShare},
    tail::PartitionTail,
    waiters::Waiters,
};
use crate::actors::PartitionAddress;

/// Where the replica stood after its actor's last step, as consumers need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Epoch of the last assignment; `None` before the first.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Partition epoch of the last assignment; `None` before the first.
    pub partition_epoch: Option<PartitionEpoch>,
    /// End of what consumers may read here, or why they may not. Never above what the whole ISR has.
    pub readable: Result<Offset, ErrorCode>,
    /// The end that consumers may be told, or why not: a new leader has to learn it first.
    pub latest: Result<Offset, ErrorCode>,
    /// First offset that the log holds.
    pub log_start: Offset,
    /// Log end offset: the offset of the next record, readable or not.
    pub log_end: Offset,
    /// End of what is durable.
    pub flushed_end: Offset,
    /// Leader epoch of the last durable record; `None` if there is none here.
    pub flushed_epoch: Option<LeaderEpoch>,
    /// Producers that it remembers.
    pub producers: usize,
    /// True if another replica is in sync: it can take over.
    pub is_spare: bool,
    /// False while a leadership that began is not known to both ends: see [`Replica::is_settled`].
    pub is_settled: bool,
}

impl ReplicaView {
    /// What this replica shows now.
    pub fn of(replica: &Replica) -> Self {
        let flushed_end = replica.flushed_end();
        let last = flushed_end.0.checked_sub(1).map(Offset).filter(|last| *last >= replica.log_start());
        Self {
            leader: replica.leader(),
            leader_epoch: replica.leader_epoch(),
            partition_epoch: replica.partition_epoch(),
            readable: replica.readable_end(),
            latest: replica.latest_end(),
            log_start: replica.log_start(),
            log_end: replica.log_end(),
            flushed_end,
            flushed_epoch: last.and_then(|last| replica.epoch_at(last)),
            producers: replica.producer_count(),
            is_spare: replica.isr().len() > 1,
            is_settled: replica.is_settled(),
        }
    }

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

/// Where the batches of one read are.
#[derive(Debug)]
pub enum Read {
    /// These, contiguous; none if there is nothing to read.
    InMemory(Vec<Bytes>),
    /// What reads them, in one piece.
    OnDisk(DiskRead),
}

/// What its actor shares of one open partition replica.
#[derive(Debug)]
pub struct Partition {
    /// The partition that this is a replica of.
    pub id: TopicPartition,
    /// Its recent batches, in memory.
    pub tail: Arc<PartitionTail>,
    /// Its batches on disk.
    pub reader: LogReader,
    /// Consumers that wait for more.
    pub waiters: Arc<Waiters>,
    reporter: Reporter,
    view: Mutex<ReplicaView>,
    last_word: Mutex<Option<LastWord>>,
    /// True while its log may lack what it counted as held.
    in_doubt: AtomicBool,
}

impl Partition {
    /// What is shared of a replica that was just opened and has no role yet.
    pub(crate) fn new(
        id: TopicPartition,
        tail: Arc<PartitionTail>,
        reader: LogReader,
        findings: Arc<Findings>,
        view: ReplicaView,
    ) -> Self {
        let reporter = Reporter { partition: id, log: reader.clone(), findings, failing: Arc::default() };
        Self {
            id,
            tail,
            reader,
            waiters: Arc::default(),
            reporter,
            view: Mutex::new(view),
            last_word: Mutex::default(),
            in_doubt: AtomicBool::new(false),
        }
    }

    /// What a reader of the log is told of an error.
    pub fn read_failed(&self, error: &holdfast_log::Error) -> ErrorCode {
        self.reporter.read_failed(error, self.view().is_spare)
    }

    /// As [`Self::read_failed`], of a read that began at this offset.
    pub fn read_failed_at(&self, at: Offset, error: &holdfast_log::Error) -> ErrorCode {
        self.reporter.read_failed_at(at, error, self.view().is_spare)
    }

    /// What begins from `from` to below `to` can be read.
    pub(crate) fn read_succeeded(&self, from: Offset, to: Offset) {
        self.reporter.failing.succeeded(from, to);
    }

    /// Something is wrong with this replica.
    pub(crate) fn found(&self, finding: Finding) {
        self.reporter.findings.put(self.id, finding);
    }

    /// What it knew as a leader when its log was closed.
    pub(crate) fn last_word(&self) -> Option<LastWord> {
        *self.last_word.lock()
    }

    /// Its log is closed: it takes nothing and acknowledges nothing any more.
    pub(crate) fn closed(&self, replica: &Replica) {
        *self.last_word.lock() = LastWord::of(replica);
    }

    /// Says whether its log may lack what it counted as held.
    pub(crate) fn set_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::Relaxed);
    }

    /// True while its log may lack what it counted as held: until it is in sync.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// Where it stood after its actor's last step.
    pub fn view(&self) -> ReplicaView {
        *self.view.lock()
    }

    /// Whole batches from the one that holds `from` on, none that reaches past `up_to`; the first whole even if larger than
    /// `max_bytes`. From memory at once, else what reads them from disk.
    pub fn read(&self, from: Offset, up_to: Offset, max_bytes: usize) -> Read {
        if from >= up_to {
            return Read::InMemory(Vec::new());
        }
        if let Some(found) = self.tail.read(from, up_to, max_bytes) {
            return Read::InMemory(found.pieces);
        }
        Read::OnDisk(DiskRead::new(self.reporter.clone(), self.view().is_spare, from, up_to, max_bytes))
    }

    /// What [`Self::read`] finds in memory, with the room that the pieces take up, if there is some at once.
    pub fn try_read_within(
        &self,
        share: &ReadShare,
        reader: Option<&Reader>,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
    ) -> Option<(Vec<Bytes>, AnswerRoom)> {
        let room = share.memory.try_room(reader, self.size_in_memory(from, up_to, max_bytes)?)?;
        self.take_in_memory(from, up_to, max_bytes, room)
    }

    /// As [`Self::read`], with the room that the pieces take up. Waits for it, and what is on disk for a place there.
    pub async fn read_within(
        &self,
        share: &ReadShare,
        reader: Option<&Reader>,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, AnswerRoom), ErrorCode> {
        if let Some(size) = self.size_in_memory(from, up_to, max_bytes) {
            let room = share.memory.room(reader, size).await?;
            if let Some(taken) = self.take_in_memory(from, up_to, max_bytes, room) {
                return Ok(taken);
            }
        }
        let read = |room: AnswerRoom, place: Place, max_bytes: usize| async move {
            let max_bytes = max_bytes.min(room.bytes());
            let pieces = match self.read(from, up_to, max_bytes) {
                Read::InMemory(pieces) => pieces,
                Read::OnDisk(read) => vec![share.disk.read(place, read).await.0?],
            };
            Ok((pieces, room))
        };
        let (room, place) = share.room_and_place(Wanted::Offered(reader, max_bytes)).await?;
        let (pieces, mut room) = read(room, place, max_bytes).await?;
        let size = read::size(&pieces);
        if room.fit(size) {
            return Ok((pieces, room));
        }
        // One batch alone is larger: nothing is held while it waits for room.
        drop((pieces, room));
        let (room, place) = share.room_and_place(Wanted::Exactly(size)).await?;
        let (pieces, mut room) = read(room, place, size).await?;
        room.fit(read::size(&pieces));
        Ok((pieces, room))
    }

    fn size_in_memory(&self, from: Offset, up_to: Offset, max_bytes: usize) -> Option<usize> {
        match self.read(from, up_to, max_bytes) {
            Read::InMemory(pieces) => Some(read::size(&pieces)),
            Read::OnDisk(_) => None,
        }
    }

    /// As much as the room holds; `None`, and no room is held, if the first batch alone is larger or went to the disk.
    fn take_in_memory(
        &self,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        mut room: AnswerRoom,
    ) -> Option<(Vec<Bytes>, AnswerRoom)> {
        match self.read(from, up_to, max_bytes.min(room.bytes())) {
            Read::InMemory(pieces) if room.fit(read::size(&pieces)) => Some((pieces, room)),
            Read::InMemory(_) | Read::OnDisk(_) => None,
        }
    }

    /// Says where it stands, and wakes consumers if that changes what they may read.
    pub(crate) fn publish(&self, view: ReplicaView) {
        let old = std::mem::replace(&mut *self.view.lock(), view);
        if old.readable != view.readable || old.leader_epoch != view.leader_epoch {
            self.waiters.wake_all();
        }
    }
}

/// An open replica and its actor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OpenReplica {
    partition: Arc<Partition>,
    actor: PartitionAddress,
}

impl OpenReplica {
    /// A replica whose actor was started.
    pub(crate) fn new(partition: Arc<Partition>, actor: PartitionAddress) -> Self {
        Self { partition, actor }
    }

    /// The actor that runs it: the way to give it events.
    pub fn actor(&self) -> &PartitionAddress {
        &self.actor
    }
}

impl std::ops::Deref for OpenReplica {
    type Target = Partition;

    fn deref(&self) -> &Partition {
        &self.partition
    }
}
