//! What was found to be wrong with replicas of this broker, until somebody looks at it: by reads, by the scrub, by the core
//! of a replica that contradicts its leader, by the log writer.
//!
//! A replica has one finding at most, so the memory is bounded by the replicas. The first decides, unless a later one stops
//! the replica and the first does not, or the first is about a log that was closed ([`Finding::or_stopped_by`]). A finding
//! names the opening of the log that it is about: a reader may be late, and the replica made again.

use std::{
    collections::{BTreeMap, btree_map},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_log::{Cause, Error, LogReader, readable_end, segment_of};
use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::{
    error::ErrorCode,
    ids::{Millis, Offset, TopicPartition},
};

use super::failing::Failing;

/// What is wrong with a replica.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The kind of it, as controllers keep it.
    pub reason: DistrustReason,
    /// What was found, in words, with file and offset where there are some.
    pub detail: String,
    /// The opened log that it is about; `None`: what cannot be opened.
    pub log: Option<LogReader>,
    /// True if the log takes nothing any more.
    pub is_dead: bool,
    /// True if it is not read, by the disk or for want of rights: where that goes for many replicas it is the folder that fails.
    pub is_unreadable: bool,
    /// Up to which offset it can be read; `None`: nothing that it holds is known to be damaged.
    pub readable_end: Option<Offset>,
}

impl Finding {
    /// That the replica with this log is damaged.
    pub fn damaged(log: &LogReader, detail: String) -> Self {
        let (log, readable_end) = (Some(log.clone()), None);
        Self { reason: DistrustReason::Damaged, detail, log, is_dead: false, is_unreadable: false, readable_end }
    }

    /// The same, and what the log holds can be read up to there.
    #[must_use]
    pub fn up_to(self, readable_end: Option<Offset>) -> Self {
        Self { readable_end, ..self }
    }

    /// That the log is not read, again and again.
    pub fn unreadable(log: &LogReader, detail: String) -> Self {
        Self { is_unreadable: true, ..Self::damaged(log, detail) }
    }

    /// That the replica with this log halted.
    pub fn halted(log: &LogReader, detail: String) -> Self {
        Self { reason: DistrustReason::Halted, ..Self::damaged(log, detail) }
    }

    /// That the log takes nothing any more, for this reason.
    pub fn dead(log: &LogReader, error: &Error) -> Self {
        let dead = Self { is_dead: true, is_unreadable: fails(error), ..Self::damaged(log, error.to_string()) };
        dead.up_to(readable_end(error))
    }

    /// What counts of this finding and a later one of the same replica. Of two openings of its log: that of the one which is
    /// open, for the other is over. Else this one, unless only the later one says that the replica cannot go on; what can be read
    /// ends where the first of the two says.
    #[must_use]
    fn or_stopped_by(self, later: Self) -> Self {
        if self.is_over() != later.is_over() {
            return if self.is_over() { later } else { self };
        }
        let readable_end = self.readable_end.into_iter().chain(later.readable_end).min();
        let counts = if later.stops() && !self.stops() { later } else { self };
        counts.up_to(readable_end)
    }

    fn is_over(&self) -> bool {
        self.log.as_ref().is_some_and(LogReader::is_closed)
    }

    fn stops(&self) -> bool {
        self.is_dead || self.reason == DistrustReason::Halted
    }

    /// True if it is about the replica that has this log.
    pub fn is_about(&self, log: &LogReader) -> bool {
        self.log.as_ref().is_none_or(|own| own.is_same(log))
    }
}

/// Why a replica with a finding goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No other holds what was acknowledged.
    Last,
    /// Another is in sync and alive, and is to lead first.
    HandsOver,
    /// Nobody could lead by what the metadata version has: those that are eligible do not come in before it is finalised.
    NotFinalised,
}

/// How a data folder notes this reason. What only controllers find is never noted there.
pub fn cause_of(reason: DistrustReason) -> Cause {
    match reason {
        DistrustReason::Vanished => Cause::Vanished,
        DistrustReason::Halted => Cause::Halted,
        DistrustReason::Damaged | DistrustReason::Folder | DistrustReason::Short => Cause::Damaged,
    }
}

/// What a data folder noted, as controllers keep it.
pub fn reason_of(cause: Cause) -> DistrustReason {
    match cause {
        Cause::Damaged => DistrustReason::Damaged,
        Cause::Vanished => DistrustReason::Vanished,
        Cause::Halted => DistrustReason::Halted,
    }
}

/// Where a reader of one replica's log says what it found.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The replica that is read.
    pub partition: TopicPartition,
    /// The log of it that is read.
    pub log: LogReader,
    /// Where it is said.
    pub findings: Arc<Findings>,
    /// Reads that the disk failed.
    pub failing: Arc<FailingReads>,
}

/// What of one replica could not be read, shared by its readers.
#[derive(Debug)]
pub struct FailingReads {
    since: Instant,
    /// True while something is counted: looked at after each read, without the lock.
    any: AtomicBool,
    ranges: Mutex<Failing>,
}

impl Default for FailingReads {
    fn default() -> Self {
        Self { since: Instant::now(), any: AtomicBool::new(false), ranges: Mutex::default() }
    }
}

/// True if a read that ends so says that the log cannot be read: once may be chance, again and again it is as damage. Rights
/// that are wanting, as after a hand in the folder, keep the records from everybody as a disk does that fails.
pub fn fails(error: &Error) -> bool {
    error.is_unreadable() || error.is_refused()
}

impl FailingReads {
    fn failed(&self, at: Offset, now: Millis) -> bool {
        self.any.store(true, Ordering::Release);
        self.ranges.lock().failed(at, now)
    }

    fn now(&self) -> Millis {
        Millis(self.since.elapsed().as_millis() as u64)
    }

    /// What begins from `from` to below `to` can be read.
    pub fn succeeded(&self, from: Offset, to: Offset) {
        if self.any.load(Ordering::Acquire) {
            let mut ranges = self.ranges.lock();
            ranges.succeeded(from, to);
            self.any.store(!ranges.is_empty(), Ordering::Release);
        }
    }
}

impl Reporter {
    /// As [`Self::read_failed`], of a read that began at this offset: if it [`fails`] again and again, that is a finding as
    /// damage is.
    pub fn read_failed_at(&self, at: Offset, error: &Error, is_spare: bool) -> ErrorCode {
        self.count(at, error, self.failing.now());
        self.told(error, is_spare)
    }

    fn count(&self, at: Offset, error: &Error, now: Millis) {
        if fails(error) && self.failing.failed(at, now) {
            let detail = format!("{error}; reads fail again and again, the last at offset {at}");
            self.findings.put(self.partition, Finding::unreadable(&self.log, detail).up_to(Some(at)));
        }
    }

    /// What a reader is told of an error. Damage has consequences: it is a finding. If the replica `is_spare`, another is in
    /// sync and will lead instead: the reader is told to look for that one.
    ///
    /// A read that begins at no offset, as a look-up by time, counts where the segment begins that the disk did not read.
    pub fn read_failed(&self, error: &Error, is_spare: bool) -> ErrorCode {
        match segment_of(error) {
            Some(base) => self.read_failed_at(base, error, is_spare),
            None => self.told(error, is_spare),
        }
    }

    fn told(&self, error: &Error, is_spare: bool) -> ErrorCode {
        let code = code_of(error);
        if code != ErrorCode::OffsetOutOfRange && code != ErrorCode::NotLeaderOrFollower {
            tracing::error!(partition = %self.partition, %error, "a log cannot be read");
        }
        if code != ErrorCode::LogDamaged {
            return code;
        }
        let finding = Finding::damaged(&self.log, error.to_string()).up_to(readable_end(error));
        self.findings.put(self.partition, finding);
        if is_spare { ErrorCode::KafkaStorageError } else { code }
    }
}

fn code_of(error: &Error) -> ErrorCode {
    match error {
        Error::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        Error::Damaged { .. } | Error::BadBatch(_) => ErrorCode::LogDamaged,
        Error::Closed => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    }
}

/// What was found of some replicas: one finding of each, the one that counts.
#[derive(Clone, Debug, Default)]
pub struct Found(BTreeMap<TopicPartition, Finding>);

impl Found {
    /// Adds a finding; where the replica has one, one of the two counts.
    pub fn put(&mut self, partition: TopicPartition, finding: Finding) {
        let counts = match self.0.remove(&partition) {
            Some(first) => first.or_stopped_by(finding),
            None => finding,
        };
        self.0.insert(partition, counts);
    }

    /// Keeps those of which this holds.
    pub fn retain(&mut self, mut holds: impl FnMut(TopicPartition, &Finding) -> bool) {
        self.0.retain(|partition, finding| holds(*partition, finding));
    }

    /// All, in the order of their partitions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TopicPartition, &Finding)> {
        self.0.iter().map(|(partition, finding)| (*partition, finding))
    }

    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Found {
    type Item = (TopicPartition, Finding);
    type IntoIter = btree_map::IntoIter<TopicPartition, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Findings that nobody has looked at yet. See the module.
#[derive(Debug, Default)]
pub struct Findings {
    waiting: Mutex<Found>,
    filled: Notify,
    kept: Mutex<BTreeMap<TopicPartition, Why>>,
    looked_at: [AtomicU64; Kind::ALL.len()],
}

/// What was found, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that were durable are gone or changed, or other batches than most replicas hold.
    Damaged,
    /// The disk does not read it.
    Unreadable,
    /// The log takes nothing any more, and can be read.
    Dead,
    /// The replica stopped itself.
    Halted,
}

impl Kind {
    /// In the order of declaration: a count is stored at its kind's number.
    pub const ALL: [Self; 4] = [Self::Damaged, Self::Unreadable, Self::Dead, Self::Halted];

    /// That of a finding.
    pub fn of(finding: &Finding) -> Self {
        match finding {
            Finding { reason: DistrustReason::Halted, .. } => Self::Halted,
            Finding { is_unreadable: true, .. } => Self::Unreadable,
            Finding { is_dead: true, .. } => Self::Dead,
            Finding { .. } => Self::Damaged,
        }
    }
}

/// Replicas that are damaged and go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How many of them there are.
    pub count: u64,
    /// The first of them.
    pub first: TopicPartition,
}

impl Findings {
    /// These replicas are damaged and go on, and no others.
    pub fn keep(&self, all: BTreeMap<TopicPartition, Why>) {
        *self.kept.lock() = all;
    }

    /// What is damaged and goes on, if anything.
    pub fn kept(&self) -> Option<Kept> {
        let kept = self.kept.lock();
        let (first, _) = kept.first_key_value()?;
        Some(Kept { count: kept.len() as u64, first: *first })
    }

    /// The replicas that are damaged and go on, each with why it does.
    pub fn all_kept(&self) -> BTreeMap<TopicPartition, Why> {
        self.kept.lock().clone()
    }

    /// Counts a finding of a replica that had none.
    pub fn count(&self, finding: &Finding) {
        self.looked_at[Kind::of(finding) as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted of a kind since the start.
    pub fn counted(&self, kind: Kind) -> u64 {
        self.looked_at[kind as usize].load(Ordering::Relaxed)
    }

    /// Adds a finding; where the replica has one that waits, one of the two counts.
    pub fn put(&self, partition: TopicPartition, finding: Finding) {
        self.waiting.lock().put(partition, finding);
        self.filled.notify_one();
    }

    /// Takes those that wait, for nobody will look at them any more.
    pub fn drain(&self) -> Found {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Waits for findings and takes all.
    pub async fn take(&self) -> Found {
        loop {
            let taken = self.drain();
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
