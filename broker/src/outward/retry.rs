//! Which controller to call, whether to call again after a failure, and how long to pause before. Pure: the shells cut the
//! pauses by chance (`holdfast_net::jitter`).
//!
//! The one that answered last is tried first. One that is not active names the active one, which is tried next; one that
//! is not reached is followed by the next in the list: after the one that named it, if one did, so that a name which leads
//! nowhere keeps nobody out. What may be done twice is tried again; what may not (a change that
//! an operator asked for) is tried again only if it certainly was not done. Pauses double up to a bound.

use std::time::Duration;

use holdfast_net::backoff::Backoff;
use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

/// What a repeated call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The same again: repeat after any failure.
    Always,
    /// Perhaps a second change: repeat only if nothing was done.
    IfNotDone,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The controller decided: its error is the answer.
    Answered,
    /// Not to be repeated, or too late.
    GiveUp,
    /// Call the next candidate at once.
    Again,
    /// Every controller was tried, and none answered: call again after so long, to be cut by chance.
    AgainAfter(Duration),
}

/// The controllers, and the one to call next.
#[derive(Clone, Debug)]
pub struct Candidates {
    addresses: Vec<String>,
    /// The active one, as far as known.
    next: String,
    /// Whose word that is, if it is another's.
    named_by: Option<String>,
}

impl Candidates {
    /// The configured addresses, in order.
    pub fn new(addresses: Vec<String>) -> Self {
        let next = addresses.first().cloned().unwrap_or_default();
        Self { addresses, next, named_by: None }
    }

    /// Whom to call now.
    pub fn candidate(&self) -> &str {
        &self.next
    }

    /// Number of configured controllers, at least 1.
    pub fn count(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// A call to `address` failed: decides whom to try next. True if that one was named as the active controller.
    pub fn failed(&mut self, address: &str, detail: &ErrorDetail) -> bool {
        let named = detail.controller.as_ref().map(|hint| hint.address.clone()).filter(|named| named != address);
        let is_named = named.is_some();
        let named_by = self.named_by.take().filter(|_| self.next == address);
        let asked = named_by.unwrap_or_else(|| address.to_owned());
        let after = self.addresses.iter().position(|known| *known == asked).map_or(0, |index| index + 1);
        let following = || self.addresses.get(after % self.count()).cloned().unwrap_or_default();
        self.next = named.unwrap_or_else(following);
        self.named_by = is_named.then_some(asked);
        is_named
    }
}

/// The attempts of one call.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    repeat: Repeat,
    backoff: Backoff,
    tried: usize,
    /// Attempts in a row that named another one.
    named: usize,
    /// What is known of all attempts: in doubt if one is.
    outcome: Outcome,
}

impl Attempts {
    /// No attempt yet. `backoff` gives the pause after every round of all controllers.
    pub fn new(repeat: Repeat, backoff: Backoff) -> Self {
        Self { repeat, backoff, tried: 0, named: 0, outcome: Outcome::NotAppended }
    }

    /// Whether what was asked for may have been done by one of the attempts that failed.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// An attempt failed with `detail`. `from_node`: the controller itself said it, and not the connection.
    pub fn is_answer(detail: &ErrorDetail, from_node: bool) -> bool {
        from_node && !is_inactive(detail)
    }

    /// What to do after a failure that [is no answer](Self::is_answer). `is_named`: the next candidate was named as active;
    /// `is_over`: the deadline has passed; `candidates`: how many there are.
    pub fn failed(
        &mut self,
        detail: &ErrorDetail,
        (from_node, is_named): (bool, bool),
        is_over: bool,
        candidates: usize,
    ) -> Next {
        if Self::is_answer(detail, from_node) {
            return Next::Answered;
        }
        let may_be_done = detail.outcome == Outcome::Unknown && !from_node;
        if may_be_done {
            self.outcome = Outcome::Unknown;
        }
        if is_over || (may_be_done && self.repeat == Repeat::IfNotDone) {
            return Next::GiveUp;
        }
        self.tried += 1;
        self.named = if is_named { self.named + 1 } else { 0 };
        // Two that name each other lead nowhere.
        if (is_named && self.named <= candidates) || !self.tried.is_multiple_of(candidates) {
            return Next::Again;
        }
        Next::AgainAfter(self.backoff.next_pause())
    }
}

/// True if the controller that answered is not the active one: nothing was done.
fn is_inactive(detail: &ErrorDetail) -> bool {
    matches!(detail.code, ErrorCode::NotController | ErrorCode::NoQuorum)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{detail::ControllerHint, ids::ControllerId};

    use super::*;

    fn error(code: ErrorCode) -> ErrorDetail {
        ErrorDetail::new(code, "test")
    }

    fn backoff(first_ms: u64, longest_ms: u64) -> Backoff {
        Backoff::new(Duration::from_millis(first_ms), Duration::from_millis(longest_ms))
    }

    #[test]
    fn what_may_be_done_twice_alone_is_repeated_when_the_outcome_is_unknown() {
        let lost = error(ErrorCode::BrokerNotAvailable).with_outcome(Outcome::Unknown);
        let mut once = Attempts::new(Repeat::IfNotDone, backoff(20, 100));
        assert_eq!(once.failed(&lost, (false, false), false, 3), Next::GiveUp);
        let mut always = Attempts::new(Repeat::Always, backoff(20, 100));
        assert_eq!(always.failed(&lost, (false, false), false, 3), Next::Again);
        let inactive = error(ErrorCode::NotController);
        assert_eq!(always.failed(&inactive, (true, true), true, 3), Next::GiveUp, "the deadline is over");
        assert_eq!(always.outcome(), Outcome::Unknown, "an earlier attempt may have done it");
        let inactive = error(ErrorCode::NotController).with_outcome(Outcome::Unknown);
        assert_eq!(once.failed(&inactive, (true, true), false, 3), Next::Again, "certainly not done");
        assert_eq!(once.failed(&error(ErrorCode::InvalidTopic), (true, false), false, 3), Next::Answered);
    }

    #[test]
    fn a_round_that_nobody_answers_is_followed_by_a_longer_and_longer_pause() {
        let mut attempts = Attempts::new(Repeat::Always, backoff(20, 50));
        let gone = error(ErrorCode::NoQuorum);
        let next: Vec<Next> = (0..6).map(|_| attempts.failed(&gone, (true, false), false, 2)).collect();
        let after = |pause_ms| Next::AgainAfter(Duration::from_millis(pause_ms));
        assert_eq!(next, [Next::Again, after(20), Next::Again, after(40), Next::Again, after(50)]);
    }

    #[test]
    fn the_one_that_is_named_comes_next_else_the_following() {
        let mut candidates = Candidates::new(["a", "b", "c"].map(str::to_owned).into());
        assert!(!candidates.failed("a", &error(ErrorCode::BrokerNotAvailable)));
        assert_eq!(candidates.candidate(), "b");
        assert!(!candidates.failed("c", &error(ErrorCode::BrokerNotAvailable)));
        assert_eq!(candidates.candidate(), "a");
    }

    #[test]
    fn all_are_tried_though_some_name_one_that_is_not_reached() {
        for wrong in ["x", "a"] {
            let mut candidates = Candidates::new(["a", "b", "c"].map(str::to_owned).into());
            let mut tried = Vec::new();
            while !tried.contains(&"c".to_owned()) && tried.len() < 10 {
                let called = candidates.candidate().to_owned();
                let hint = ControllerHint { id: ControllerId(1), address: wrong.to_owned() };
                let failure = match called.as_str() {
                    called if called == wrong => error(ErrorCode::BrokerNotAvailable),
                    _ => ErrorDetail { controller: Some(hint), ..error(ErrorCode::NotController) },
                };
                candidates.failed(&called, &failure);
                tried.push(called);
            }
            assert_eq!(tried.last().map(String::as_str), Some("c"), "{tried:?}");
        }
    }
}
