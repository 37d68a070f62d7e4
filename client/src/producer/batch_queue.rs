//! The batches of one partition: from the open one to those that wait for their answer.
//!
//! Place: pure: time and the jitter of its pauses come from outside; [`super::partition`] keeps it under a lock, [`super::outbound`] takes
//! batches out, [`super::lane`] brings answers in, [`super::router`] brings time and leaders.
//!
//! ```text
//!   append ──▶ open ──▶ closed ──▶ flights (sequences given, at most max_in_flight) ──▶ finished, in order
//! ```
//!
//! Invariants:
//! 1. Flights have contiguous sequences in the order of acceptance, and finish from the front only.
//! 2. After a failure nothing is sent until every flight that is out is answered or given up; then all that are not
//!    done are sent again, in order, with the same sequences.
//! 3. A flight's `doubt` is set once an attempt ended without a definite answer, and is never cleared while it may be in
//!    the log.
//! 4. A flight that finally failed leaves a **hole** in the sequences: the leader refuses what follows it. Nothing new
//!    is sent over a hole. If the failed batch is *certainly not* in the log, nor is what follows it, so the rest goes
//!    under the next producer epoch with sequences from 0 (KIP-360). If it is *in doubt*, what follows and is in doubt
//!    itself is first resolved under the old epoch: delivered, or in doubt too; it is never sent under the new one,
//!    where the leader could not tell it from a new batch.
//!
//! Failure: every batch ends as delivered, not appended or in doubt, at the latest at its delivery timeout.

mod answer;
mod flight;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_proto::{
    batch::{self, BatchBuilder, Compression, ProducerStamp, RecordRef},
    error::ErrorCode,
    ids::{PartitionIndex, ProducerEpoch, ProducerId, Sequence},
};

use super::completion::{BatchCompletion, Callback};
use flight::{Flight, Payload, State};

pub(crate) use answer::Ack;
pub(crate) use flight::{Finished, PendingBatch};

/// What the queue goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) batch_size_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) compression: Compression,
    /// False for acks=none: a batch is done once it is handed to the stream.
    pub(crate) answered: bool,
    /// Spreads a pause, so that many producers do not come back at the same moment.
    pub(crate) jitter: fn(Duration) -> Duration,
}

/// One life of a producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerLife {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

/// What a failed batch left behind; see invariant 4. Ordered: the worse one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hole {
    Certain,
    InDoubt,
}

/// What to send next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This batch.
    Send(Job),
    /// Ask again then, if nothing happens before.
    WaitUntil(Instant),
    /// Nothing until something happens.
    Idle,
    /// Nothing until the producer lives on under another epoch than this.
    NeedLife(ProducerLife),
}

/// A batch to be built and sent.
#[derive(Debug)]
pub(crate) struct Job {
    /// The flight, for [`BatchQueue::built`].
    pub(crate) flight: u64,
    pub(crate) stamp: Option<ProducerStamp>,
    pub(crate) payload: JobPayload,
}

/// In which state the batch is.
#[derive(Debug)]
pub(crate) enum JobPayload {
    /// It has to be built.
    Build(BatchBuilder),
    /// It is built, but under another stamp.
    Restamp(bytes::Bytes),
    /// It is built as it has to be.
    Ready(bytes::Bytes),
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) completion: Arc<BatchCompletion>,
    pub(crate) index: u32,
    /// True if it opened a batch, so that somebody must look after the queue.
    pub(crate) opened: bool,
    /// True if that batch is sent at once, so that keyless records had better go to another partition.
    pub(crate) lone: bool,
}

/// The batches of one partition.
#[derive(Debug)]
pub(crate) struct BatchQueue {
    rules: Rules,
    partition: PartitionIndex,
    open: Option<PendingBatch>,
    closed: VecDeque<PendingBatch>,
    flights: VecDeque<Flight>,
    finished: VecDeque<Finished>,
    life: Option<ProducerLife>,
    next_sequence: Sequence,
    next_flight: u64,
    hole: Option<Hole>,
    /// True after a failure, until all may be sent again; see invariant 2.
    recovering: bool,
    resume_at: Option<Instant>,
    failures: u32,
    last_error: Option<ErrorCode>,
}

impl BatchQueue {
    /// Empty. `life` is `None` for a producer without idempotence.
    pub(crate) const fn new(partition: PartitionIndex, rules: Rules, life: Option<ProducerLife>) -> Self {
        Self {
            rules,
            partition,
            open: None,
            closed: VecDeque::new(),
            flights: VecDeque::new(),
            finished: VecDeque::new(),
            life,
            next_sequence: Sequence(0),
            next_flight: 0,
            hole: None,
            recovering: false,
            resume_at: None,
            failures: 0,
            last_error: None,
        }
    }

    /// Encodes the record into the open batch, or into a new one if it does not fit.
    ///
    /// `None`, and the full batch is closed, if it does not fit and `may_go_elsewhere`: a keyless record.
    pub(crate) fn append(
        &mut self,
        record: &RecordRef<'_>,
        reserved_bytes: usize,
        callback: &mut Option<Callback>,
        may_go_elsewhere: bool,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Appended>, batch::Error> {
        if self.open.as_ref().is_some_and(|open| !open.would_fit(record, self.rules.batch_size_bytes)) {
            self.seal();
            if may_go_elsewhere {
                return Ok(None);
            }
        }
        if let Some(open) = &mut self.open {
            let index = open.append(record, reserved_bytes, callback)?;
            let completion = Arc::clone(&open.completion);
            return Ok(Some(Appended { completion, index, opened: false, lone: false }));
        }
        let mut open = PendingBatch::new(self.partition, self.rules.compression, self.capacity_hint(record), now());
        let index = open.append(record, reserved_bytes, callback)?;
        let completion = Arc::clone(&open.completion);
        self.open = Some(open);
        let lone = self.flights.is_empty() && self.closed.is_empty();
        Ok(Some(Appended { completion, index, opened: true, lone }))
    }

    /// Closes the open batch, so that it is sent without waiting for more.
    pub(crate) fn seal(&mut self) {
        self.closed.extend(self.open.take());
    }

    /// Completion of the record that was accepted last, if it is still under way.
    pub(crate) fn last_completion(&self) -> Option<Arc<BatchCompletion>> {
        let pending = self.open.as_ref().or(self.closed.back()).map(|batch| &batch.completion);
        pending.or(self.flights.back().map(|flight| &flight.batch.completion)).cloned()
    }

    /// What to send next, under this correlation id. `current` is the life that the producer has now.
    pub(crate) fn next_to_send(&mut self, now: Instant, correlation: u64, current: Option<ProducerLife>) -> Next {
        if self.recovering {
            if self.anything_out() {
                return Next::Idle;
            }
            if let Some(resume_at) = self.resume_at.filter(|at| *at > now) {
                return Next::WaitUntil(resume_at);
            }
            (self.recovering, self.resume_at) = (false, None);
        }
        if let Some(hole) = self.hole {
            if self.anything_out() {
                return Next::Idle;
            }
            if hole == Hole::InDoubt && self.flights.front().is_some_and(|flight| flight.doubt) {
                return self.send(0, now, correlation); // resolved under the old epoch, one by one
            }
            match (self.life, current) {
                (Some(old), Some(new)) if old != new => self.live_on(new),
                (Some(old), _) => return Next::NeedLife(old),
                (None, _) => self.hole = None,
            }
        }
        for index in 0..self.flights.len() {
            match &self.flights[index].state {
                State::Done { hole: true, .. } => return Next::Idle,
                State::Done { .. } | State::Sent { .. } => {}
                State::Ready => return self.send(index, now, correlation),
            }
        }
        self.start_new(now, correlation, current)
    }

    /// True if there may be something to send; [`Self::next_to_send`] knows exactly.
    pub(crate) fn has_work(&self) -> bool {
        let new = self.open.is_some() || !self.closed.is_empty();
        (new && self.flights.len() < self.rules.max_in_flight)
            || self.flights.iter().any(|flight| matches!(flight.state, State::Ready))
    }

    /// True if no record is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.closed.is_empty() && self.flights.is_empty()
    }

    /// Takes the built batch back, for a retry. With acks=none it is done now.
    pub(crate) fn built(&mut self, flight: u64, result: Result<(bytes::Bytes, Option<ProducerStamp>), ErrorCode>) {
        let Some(index) = self.flights.iter().position(|known| known.id == flight) else { return };
        match result {
            Ok((bytes, stamp)) => {
                self.flights[index].payload = Payload::Built(bytes, stamp);
                if !self.rules.answered {
                    self.finish_flight(index, Ack { base_offset: None, leader_epoch: None }.outcome());
                }
            }
            Err(code) => self.fail_flight(index, code),
        }
        self.pop_finished();
    }

    /// What has come to an end, oldest first.
    pub(crate) fn take_finished(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// When the flight that is out longest was sent.
    pub(crate) fn oldest_sent(&self) -> Option<Instant> {
        let sent_at = |flight: &Flight| match flight.state {
            State::Sent { at, .. } => Some(at),
            State::Ready | State::Done { .. } => None,
        };
        self.flights.iter().filter_map(sent_at).min()
    }

    /// Gives a new batch its sequence and sends it, if one is due.
    fn start_new(&mut self, now: Instant, correlation: u64, current: Option<ProducerLife>) -> Next {
        if self.flights.len() >= self.rules.max_in_flight {
            return Next::Idle;
        }
        if self.closed.is_empty() {
            let Some(open) = &self.open else { return Next::Idle };
            let due = open.created_at + self.gather_time();
            if due > now {
                return Next::WaitUntil(due);
            }
            self.seal();
        }
        if self.flights.is_empty() && self.life.is_some() && self.life != current {
            // Another partition made the producer live on: follow while nothing is under way here.
            (self.life, self.next_sequence) = (current, Sequence(0));
        }
        let Some(batch) = self.closed.pop_front() else { return Next::Idle };
        let id = self.next_flight;
        self.next_flight += 1;
        let base_sequence = self.next_sequence;
        self.next_sequence = base_sequence.plus(batch.record_count);
        self.flights.push_back(Flight::new(id, batch, base_sequence));
        self.send(self.flights.len() - 1, now, correlation)
    }

    /// How long the open batch waits for more: not at all while nothing is out, longer the more is. So a lone record
    /// goes at once, and under load batches are full.
    fn gather_time(&self) -> Duration {
        self.rules.linger * self.flights.len() as u32 / self.rules.max_in_flight as u32
    }

    fn send(&mut self, index: usize, now: Instant, correlation: u64) -> Next {
        let life = self.life;
        let flight = &mut self.flights[index];
        let stamp =
            life.map(|life| ProducerStamp { id: life.id, epoch: life.epoch, base_sequence: flight.base_sequence });
        let payload = match std::mem::replace(&mut flight.payload, Payload::Taken) {
            Payload::Taken => return Next::Idle, // being built by another stream; it comes back with `built`
            Payload::Open(builder) => JobPayload::Build(builder),
            Payload::Built(bytes, built) if built == stamp => {
                flight.payload = Payload::Built(bytes.clone(), built);
                JobPayload::Ready(bytes)
            }
            Payload::Built(bytes, _) => JobPayload::Restamp(bytes),
        };
        flight.state = State::Sent { correlation, at: now };
        Next::Send(Job { flight: flight.id, stamp, payload })
    }

    /// Everything that is left goes on under the new life, with sequences from 0.
    fn live_on(&mut self, life: ProducerLife) {
        (self.life, self.hole) = (Some(life), None);
        let mut sequence = Sequence(0);
        for flight in self.flights.iter_mut().filter(|flight| matches!(flight.state, State::Ready)) {
            flight.base_sequence = sequence;
            flight.doubt = false; // certain by now: see invariant 4
            sequence = sequence.plus(flight.batch.record_count);
        }
        self.next_sequence = sequence;
    }

    fn anything_out(&self) -> bool {
        self.flights.iter().any(|flight| matches!(flight.state, State::Sent { .. }))
    }

    /// Room to allocate: a whole batch once the partition is busy, little before.
    fn capacity_hint(&self, record: &RecordRef<'_>) -> usize {
        if self.flights.is_empty() {
            256 + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
        } else {
            self.rules.batch_size_bytes
        }
    }
}
