//! The queue: taking records in, and giving the next batch out.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_proto::{
    batch::{self, ProducerStamp, RecordRef},
    error::ErrorCode,
    ids::{PartitionIndex, Sequence},
};

use super::{
    flight::{Finished, Flight, Payload, PendingBatch, State},
    job::{Appended, Job, JobPayload, Next},
    rules::{ProducerIdentity, Rules},
};
use crate::producer::completion::{BatchCompletion, BatchOutcome, Callback};

/// What a failed batch left behind; see invariant 4 of the module. Ordered: the worse one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hole {
    Certain,
    InDoubt,
}

/// The batches of one partition.
#[derive(Debug)]
pub(crate) struct BatchQueue {
    pub(super) rules: Rules,
    pub(super) partition: PartitionIndex,
    pub(super) open: Option<PendingBatch>,
    pub(super) closed: VecDeque<PendingBatch>,
    pub(super) flights: VecDeque<Flight>,
    pub(super) finished: VecDeque<Finished>,
    pub(super) identity: Option<ProducerIdentity>,
    pub(super) next_sequence: Sequence,
    pub(super) next_flight: u64,
    pub(super) hole: Option<Hole>,
    /// True after a failure, until all may be sent again; see invariant 2 of the module.
    pub(super) recovering: bool,
    pub(super) resume_at: Option<Instant>,
    pub(super) failures: u32,
    pub(super) last_error: Option<ErrorCode>,
}

impl BatchQueue {
    /// Empty. `identity` is `None` for a producer without idempotence.
    pub(crate) const fn new(partition: PartitionIndex, rules: Rules, identity: Option<ProducerIdentity>) -> Self {
        Self {
            rules,
            partition,
            open: None,
            closed: VecDeque::new(),
            flights: VecDeque::new(),
            finished: VecDeque::new(),
            identity,
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

    /// Completion of the record that was accepted last, if its end is not known or not taken out.
    pub(crate) fn last_completion(&self) -> Option<Arc<BatchCompletion>> {
        let pending = self.open.as_ref().or(self.closed.back()).map(|batch| &batch.completion);
        let sent = || self.flights.back().map(|flight| &flight.batch.completion);
        pending.or_else(sent).or_else(|| self.finished.back().map(|finished| &finished.completion)).cloned()
    }

    /// What to send next, under this correlation id. `current` is the identity that the producer has now.
    pub(crate) fn next_to_send(&mut self, now: Instant, correlation: u64, current: Option<ProducerIdentity>) -> Next {
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
            match (self.identity, current) {
                (Some(old), Some(new)) if old != new => self.renew(new),
                (Some(old), _) => return Next::NeedIdentity(old),
                (None, _) => self.hole = None,
            }
        }
        for index in 0..self.flights.len().min(self.rules.max_in_flight) {
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
            || self.flights.iter().take(self.rules.max_in_flight).any(|flight| matches!(flight.state, State::Ready))
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
                    self.finish_flight(index, BatchOutcome::Delivered { base_offset: None, leader_epoch: None });
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
    fn start_new(&mut self, now: Instant, correlation: u64, current: Option<ProducerIdentity>) -> Next {
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
        if self.flights.is_empty() && self.identity.is_some() && self.identity != current {
            // Another partition made the producer go on under a new epoch: follow while nothing is under way here.
            (self.identity, self.next_sequence) = (current, Sequence(0));
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
        let identity = self.identity;
        let flight = &mut self.flights[index];
        let stamp = identity.map(|ProducerIdentity { id, epoch }| ProducerStamp {
            id,
            epoch,
            base_sequence: flight.base_sequence,
        });
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

    /// Everything that is left goes on under the new identity, with sequences from 0.
    fn renew(&mut self, identity: ProducerIdentity) {
        (self.identity, self.hole) = (Some(identity), None);
        let mut sequence = Sequence(0);
        for flight in self.flights.iter_mut().filter(|flight| matches!(flight.state, State::Ready)) {
            flight.base_sequence = sequence;
            flight.doubt = false; // certain by now: see invariant 4 of the module
            sequence = sequence.plus(flight.batch.record_count);
        }
        self.next_sequence = sequence;
    }

    pub(super) fn anything_out(&self) -> bool {
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
