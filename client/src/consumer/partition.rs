//! What is fetched of one partition, and what is to be fetched next.
//!
//! Place: pure; [`super::buffers`] asks for it in its turn.
//!
//! Invariants:
//! 1. The batches in the buffer continue each other, and `fetch_offset` continues the last one.
//! 2. At most one request for the partition is out; a seek or a new leader forgets it.
//! 3. A problem is told after everything that was fetched before it.
//! 4. What begins at the oldest record and finds it deleted begins at the one that is the oldest then. No other position
//!    is moved: that would pass over records without a word.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use holdfast_net::{backoff::pause_after, jitter::jittered};
use holdfast_proto::{
    batch::{self, BatchHeader},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex},
    v1,
};

use super::Error;

/// First and longest pause after an answer that says "not now".
const RETRY_BACKOFF: Duration = Duration::from_millis(20);
pub(super) const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A batch that was fetched but not handed out.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

/// A request that is out for the partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) correlation: u64,
    pub(crate) since: Instant,
}

/// Whether it is known where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Known,
    /// Its leader could not be asked: nothing is fetched until it was, or until the caller goes elsewhere.
    Unknown,
}

/// How a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    WithOthers,
    /// From a request that was refused as a whole until an answer: so it shows for whose sake it was refused.
    Alone,
}

/// One partition of a consumer.
#[derive(Debug)]
pub(crate) struct PartitionFetch {
    pub(crate) topic: Arc<str>,
    pub(crate) topic_id: Bytes,
    pub(crate) partition: PartitionIndex,
    pub(crate) leader: Option<(BrokerId, LeaderEpoch)>,
    pub(crate) paused: bool,
    pub(crate) out: Option<Out>,
    /// Whether a request may be of others too.
    pub(crate) asked: Asked,
    pub(crate) high_watermark: Option<Offset>,
    pub(crate) log_start: Option<Offset>,
    pub(crate) buffered_bytes: usize,
    /// True until something is fetched, if it begins at the oldest record: that may be deleted before it is asked for.
    pub(crate) from_beginning: bool,
    /// Whether it is known where it begins.
    pub(crate) begin: Begin,
    /// Number of the last answer that brought something, of those to all partitions; 0 before the first.
    pub(crate) served: u64,
    fetch_offset: Offset,
    /// Leader epoch of the last batch before `fetch_offset`.
    last_epoch: LeaderEpoch,
    batches: VecDeque<Fetched>,
    problem: Option<Error>,
    failed: bool,
    retry_at: Option<Instant>,
    failures: u32,
}

/// What an answer asks of the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaction {
    /// The leader may be another by now.
    pub(crate) refresh: bool,
    /// There is something to hand out.
    pub(crate) ready: bool,
}

impl PartitionFetch {
    pub(crate) fn new(topic: Arc<str>, topic_id: Bytes, partition: PartitionIndex, start: Offset) -> Self {
        Self {
            topic,
            topic_id,
            partition,
            leader: None,
            paused: false,
            out: None,
            asked: Asked::WithOthers,
            high_watermark: None,
            log_start: None,
            buffered_bytes: 0,
            from_beginning: false,
            begin: Begin::Known,
            served: 0,
            fetch_offset: start,
            last_epoch: LeaderEpoch(0),
            batches: VecDeque::new(),
            problem: None,
            failed: false,
            retry_at: None,
            failures: 0,
        }
    }

    /// What is asked for next.
    pub(crate) const fn fetch_offset(&self) -> Offset {
        self.fetch_offset
    }

    /// Its leader, as far as known.
    pub(crate) fn leader_id(&self) -> Option<BrokerId> {
        self.leader.map(|(broker, _)| broker)
    }

    /// True if records are not asked for, but will be once there is room or time for it.
    pub(crate) const fn may_want_fetch(&self) -> bool {
        !self.paused && !self.failed && matches!(self.begin, Begin::Known) && self.out.is_none()
    }

    /// True if records should be asked for now, while less than `enough_bytes` are in the buffer.
    pub(crate) fn wants_fetch(&self, now: Instant, enough_bytes: usize) -> bool {
        self.may_want_fetch() && self.buffered_bytes < enough_bytes && self.retry_at.is_none_or(|at| at <= now)
    }

    /// When to ask again after a "not now", while less than `enough_bytes` are in the buffer.
    pub(crate) fn retry_at(&self, enough_bytes: usize) -> Option<Instant> {
        let at = self.retry_at?;
        self.wants_fetch(at, enough_bytes).then_some(at)
    }

    /// What to ask for, marked as out.
    pub(crate) fn request(&mut self, correlation: u64, now: Instant, max_bytes: u32) -> v1::FetchPartition {
        self.out = Some(Out { correlation, since: now });
        self.retry_at = None;
        v1::FetchPartition {
            topic: self.topic.to_string(),
            topic_id: self.topic_id.clone(),
            partition: self.partition.0,
            fetch_offset: self.fetch_offset.0,
            leader_epoch: self.leader.map(|(_, epoch)| epoch.0),
            max_bytes,
        }
    }

    /// True if there is a batch or a problem to hand out.
    pub(crate) fn is_ready(&self) -> bool {
        !self.paused && (!self.batches.is_empty() || self.problem.is_some())
    }

    /// True once a problem was met that only a seek ends.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// The next batch, then the problem behind it.
    pub(crate) fn take(&mut self) -> Option<Result<Fetched, Error>> {
        if let Some(fetched) = self.batches.pop_front() {
            self.buffered_bytes -= fetched.bytes.len();
            return Some(Ok(fetched));
        }
        self.problem.take().map(Err)
    }

    /// Starts again at the offset. What is out or in the buffer is forgotten.
    pub(crate) fn seek(&mut self, offset: Offset, epoch: LeaderEpoch) {
        self.batches.clear();
        self.buffered_bytes = 0;
        self.out = None;
        self.problem = None;
        self.failed = false;
        self.retry_at = None;
        self.from_beginning = false;
        self.begin = Begin::Known;
        self.fetch_offset = offset;
        self.last_epoch = epoch;
    }

    /// Forgets what is out or in the buffer and was not handed out, to ask for it again later: from this offset on. A
    /// problem that was told stays.
    pub(crate) fn set_back(&mut self, offset: Offset, epoch: LeaderEpoch) {
        if !self.failed || self.problem.is_some() {
            let start = (self.from_beginning, self.begin);
            self.seek(offset, epoch);
            (self.from_beginning, self.begin) = start;
        }
    }

    /// Stops with this problem.
    pub(crate) fn fail(&mut self, problem: Error) {
        if !self.failed {
            self.failed = true;
            self.problem = Some(problem);
        }
    }

    /// The partition's part of the answer to what is out.
    pub(crate) fn answer(&mut self, part: v1::FetchedPartition, gaps: Gaps, now: Instant) -> Reaction {
        self.asked = Asked::WithOthers;
        if let Some(error) = part.error {
            // 0 where the broker does not tell.
            let known = |offset: u64, old: Option<Offset>| if offset > 0 { Some(Offset(offset)) } else { old };
            let end = known(part.high_watermark, self.high_watermark).unwrap_or_default();
            // Below the end and not held: what it begins with is behind the offset, or what was known is over.
            let start = known(part.log_start_offset, self.log_start);
            let start = start.filter(|start| self.fetch_offset < *start || self.fetch_offset > end);
            let range = (start, end);
            return self.refused(error.into(), range, now);
        }
        self.failures = 0;
        self.high_watermark = self.high_watermark.max(Some(Offset(part.high_watermark)));
        self.log_start = Some(Offset(part.log_start_offset));
        for bytes in batch::split(part.batches) {
            let header = bytes.and_then(|bytes| BatchHeader::parse(&bytes).map(|header| Fetched { header, bytes }));
            match header {
                Ok(fetched) => self.add(fetched, gaps),
                Err(reason) => {
                    let (topic, partition) = self.name();
                    let (offset, next_offset) = (self.fetch_offset, None);
                    self.fail(Error::Corrupt { topic, partition, offset, next_offset, reason });
                }
            }
            if self.failed {
                break;
            }
        }
        Reaction { refresh: false, ready: self.is_ready() }
    }

    fn add(&mut self, fetched: Fetched, gaps: Gaps) {
        let header = &fetched.header;
        let expected = self.fetch_offset;
        if header.next_offset() <= expected {
            return; // an index may lead to a batch before the one that was asked for
        }
        let (topic, partition) = self.name();
        if header.base_offset > expected && gaps == Gaps::AreErrors {
            self.fail(Error::DataLoss { topic, partition, expected, found: header.base_offset });
        } else if header.leader_epoch < self.last_epoch {
            let (known, found) = (self.last_epoch, header.leader_epoch);
            self.fail(Error::Diverged { topic, partition, offset: expected, known, found });
        } else {
            self.last_epoch = header.leader_epoch;
            self.from_beginning = false;
            self.fetch_offset = header.next_offset();
            self.buffered_bytes += fetched.bytes.len();
            self.batches.push_back(fetched);
        }
    }

    fn refused(&mut self, detail: ErrorDetail, range: (Option<Offset>, Offset), now: Instant) -> Reaction {
        if detail.code == ErrorCode::OffsetOutOfRange {
            if let (true, Some(start)) = (self.from_beginning, range.0.filter(|start| *start > self.fetch_offset)) {
                self.fetch_offset = start;
                return Reaction::default();
            }
            let ((topic, partition), offset, (log_start, high_watermark)) = (self.name(), self.fetch_offset, range);
            self.fail(Error::OffsetOutOfRange { topic, partition, offset, log_start, high_watermark });
        } else if detail.retriable {
            self.retry_at = Some(now + jittered(pause_after(RETRY_BACKOFF, RETRY_BACKOFF_MAX, self.failures)));
            self.failures += 1;
            return Reaction { refresh: true, ready: false };
        } else {
            self.reject(detail);
        }
        Reaction { refresh: false, ready: self.is_ready() }
    }

    /// Stops, for a reason that no repetition cures.
    pub(super) fn reject(&mut self, detail: ErrorDetail) {
        let ((topic, partition), offset) = (self.name(), self.fetch_offset);
        self.fail(Error::Rejected { topic, partition, offset, detail: Box::new(detail) });
    }

    fn name(&self) -> (String, PartitionIndex) {
        (self.topic.to_string(), self.partition)
    }
}

/// What missing offsets mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Data was lost: a topic that is not compacted has every offset between its ends.
    AreErrors,
    /// The topic is compacted: they are normal.
    AreNormal,
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
