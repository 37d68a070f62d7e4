//! What the queue makes of answers, lost connections, new leaders, and time.

use std::time::{Duration, Instant};

use holdfast_net::backoff::pause_after;
use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{LeaderEpoch, Offset},
};

use super::{BatchQueue, flight::State, queue::Hole};
use crate::producer::completion::BatchOutcome;

/// How long the answer to an attempt is waited for past the delivery timeout.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// What a leader says of a batch that it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) base_offset: Option<Offset>,
    pub(crate) leader_epoch: Option<LeaderEpoch>,
}

impl Ack {
    pub(super) const fn outcome(self) -> BatchOutcome {
        BatchOutcome::Delivered { base_offset: self.base_offset, leader_epoch: self.leader_epoch }
    }
}

/// What the caller of the queue has to do about an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaction {
    /// The leader may be another by now: refresh the metadata.
    pub(crate) refresh: bool,
}

impl BatchQueue {
    /// An answer to what was sent under this correlation id. One to an attempt that was given up is ignored.
    pub(crate) fn answer(&mut self, correlation: u64, answer: Result<Ack, ErrorDetail>, now: Instant) -> Reaction {
        let is_it = |state: &State| matches!(state, State::Sent { correlation: sent, .. } if *sent == correlation);
        let Some(index) = self.flights.iter().position(|flight| is_it(&flight.state)) else {
            return Reaction::default();
        };
        let mut reaction = Reaction::default();
        match answer {
            Ok(ack) => {
                self.failures = 0;
                self.last_error = None;
                self.finish_flight(index, ack.outcome());
            }
            // It was appended, so that it leaves no hole. But the leader does not remember where, nor whether it is
            // durable, nor whether it was this one.
            Err(detail) if detail.code == ErrorCode::DuplicateSequenceNumber => {
                self.finish_flight(index, BatchOutcome::InDoubt { code: detail.code });
            }
            Err(detail) if detail.code == ErrorCode::MessageTooLarge && self.split_flight(index) => {}
            Err(detail) if is_about_sequences(detail.code) && self.identity.is_some() => {
                self.out_of_sequence(index, &detail, now);
            }
            Err(detail) => {
                let flight = &mut self.flights[index];
                flight.doubt |= detail.outcome == Outcome::Unknown;
                flight.last_error = Some(detail.code);
                self.last_error = Some(detail.code);
                if detail.retriable {
                    flight.state = State::Ready;
                    self.recover(now);
                    reaction.refresh = is_about_leadership(detail.code);
                } else {
                    self.fail_flight(index, detail.code);
                }
            }
        }
        self.pop_finished();
        reaction
    }

    /// What was to go out under this correlation id did not after all.
    pub(crate) fn unsent(&mut self, correlation: u64) {
        for flight in &mut self.flights {
            if matches!(flight.state, State::Sent { correlation: sent, .. } if sent == correlation) {
                flight.state = State::Ready;
            }
        }
    }

    /// The connection is lost: what was out may be in the log or not.
    pub(crate) fn abandon(&mut self, now: Instant) {
        let mut any = false;
        for flight in &mut self.flights {
            if matches!(flight.state, State::Sent { .. }) {
                flight.state = State::Ready;
                flight.doubt = true;
                flight.last_error = Some(ErrorCode::OutcomeUnknown);
                any = true;
            }
        }
        if any {
            self.last_error = Some(ErrorCode::OutcomeUnknown);
            self.recover(now);
        }
    }

    /// Another broker leads, or the same one in a new epoch: nothing of the old leadership is waited for.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.abandon(now);
        self.failures = 0;
        self.resume_at = None;
    }

    /// Nothing can be sent now, for this reason; it is what a batch that expires will name.
    pub(crate) const fn blocked(&mut self, code: ErrorCode) {
        self.last_error = Some(code);
    }

    /// Ends what has reached its delivery timeout. An attempt that is out is waited for a little longer: its answer
    /// would tell what only a guess can tell otherwise.
    pub(crate) fn expire(&mut self, now: Instant) {
        let limit = self.rules.delivery_timeout;
        let grace = ANSWER_GRACE.min(limit / 4);
        let age = |created_at: Instant| now.saturating_duration_since(created_at);
        let expired = |created_at: Instant| age(created_at) >= limit;
        while let Some(flight) = self.flights.front() {
            let is_out = matches!(flight.state, State::Sent { .. });
            if age(flight.batch.created_at) < limit + if is_out { grace } else { Duration::ZERO } {
                break;
            }
            let without = if is_out { ErrorCode::OutcomeUnknown } else { ErrorCode::DeadlineExceeded };
            let code = flight.last_error.or(self.last_error.filter(|_| !is_out)).unwrap_or(without);
            self.give_up_flight(0, code);
            self.pop_finished();
        }
        if !self.flights.is_empty() {
            return; // younger ones do not finish before older ones
        }
        let code = self.last_error.unwrap_or(ErrorCode::DeadlineExceeded);
        while self.closed.front().is_some_and(|batch| expired(batch.created_at)) {
            let batch = self.closed.pop_front();
            self.finished.extend(batch.map(|batch| batch.finish(BatchOutcome::NotAppended { code })));
        }
        if self.closed.is_empty()
            && let Some(open) = self.open.take_if(|open| expired(open.created_at))
        {
            self.finished.push_back(open.finish(BatchOutcome::NotAppended { code }));
        }
    }

    /// Ends everything: the topic is gone, or the producer is closed.
    pub(crate) fn fail_all(&mut self, code: ErrorCode) {
        for index in 0..self.flights.len() {
            if !matches!(self.flights[index].state, State::Done { .. }) {
                self.give_up_flight(index, code);
            }
        }
        self.pop_finished();
        self.seal();
        let failed = self.closed.drain(..).map(|batch| batch.finish(BatchOutcome::NotAppended { code }));
        self.finished.extend(failed);
    }

    /// The leader says that the batch does not follow what it has, or that it knows nothing of the producer.
    fn out_of_sequence(&mut self, index: usize, detail: &ErrorDetail, now: Instant) {
        let code = detail.code;
        let first =
            self.flights.iter().take(index).all(|flight| matches!(flight.state, State::Done { hole: false, .. }));
        let flight = &mut self.flights[index];
        flight.doubt |= detail.outcome == Outcome::Unknown;
        flight.last_error = Some(code);
        if !first {
            // One before it failed: it is sent again behind that one.
            flight.state = State::Ready;
            self.recover(now);
        } else if flight.doubt {
            // An attempt without answer came before: it may still arrive, ahead of a new epoch.
            self.finish_failed(index, BatchOutcome::InDoubt { code }, Hole::InDoubt);
        } else {
            // What came before it is done, and yet the leader misses it: the leader has forgotten (KIP-360), or what
            // came before failed. It is certainly not there, and goes under the next epoch.
            flight.state = State::Ready;
            self.hole = self.hole.max(Some(Hole::Certain));
            self.recover(now);
        }
    }

    /// Ends the flight because of this error; what was out may be in the log.
    fn give_up_flight(&mut self, index: usize, code: ErrorCode) {
        let flight = &mut self.flights[index];
        flight.doubt |= matches!(flight.state, State::Sent { .. }) && self.rules.answered;
        self.fail_flight(index, code);
    }

    /// Ends the flight with this error, as its doubt says.
    pub(super) fn fail_flight(&mut self, index: usize, code: ErrorCode) {
        if self.flights[index].doubt {
            self.finish_failed(index, BatchOutcome::InDoubt { code }, Hole::InDoubt);
        } else {
            self.finish_failed(index, BatchOutcome::NotAppended { code }, Hole::Certain);
        }
    }

    pub(super) fn finish_flight(&mut self, index: usize, outcome: BatchOutcome) {
        self.flights[index].state = State::Done { outcome, hole: false };
    }

    fn finish_failed(&mut self, index: usize, outcome: BatchOutcome, hole: Hole) {
        debug_assert_eq!(hole == Hole::InDoubt, matches!(outcome, BatchOutcome::InDoubt { .. }));
        self.flights[index].state = State::Done { outcome, hole: self.identity.is_some() };
    }

    /// Moves what is done from the front to the finished.
    pub(super) fn pop_finished(&mut self) {
        while let Some(State::Done { outcome, hole }) = self.flights.front().map(|flight| &flight.state) {
            let (outcome, is_hole) = (*outcome, *hole);
            if is_hole {
                let hole = if matches!(outcome, BatchOutcome::InDoubt { .. }) { Hole::InDoubt } else { Hole::Certain };
                self.hole = self.hole.max(Some(hole));
            }
            if let Some(flight) = self.flights.pop_front() {
                self.finished.push_back(flight.finish(outcome));
            }
        }
    }

    /// Sends nothing until everything that is out is answered, and a pause has passed.
    fn recover(&mut self, now: Instant) {
        if !self.recovering {
            let pause = pause_after(self.rules.retry_backoff, self.rules.retry_backoff_max, self.failures);
            self.failures = self.failures.saturating_add(1);
            self.resume_at = Some(now + (self.rules.jitter)(pause));
        }
        self.recovering = true;
    }
}

/// Errors of an idempotent producer's sequences and epochs.
const fn is_about_sequences(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerEpoch)
}

/// Errors after which another broker may lead.
const fn is_about_leadership(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::BrokerNotAvailable
            | ErrorCode::KafkaStorageError
            | ErrorCode::OutcomeUnknown
            | ErrorCode::ShuttingDown
    )
}
