//! Which controller to call, whether to call again after a failure, and how long to pause before. Pure: the shells cut the
//! pauses by chance (`holdfast_net::jitter`), so that many callers of one that came back do not call it at the same moment.
//!
//! The one that answered last is tried first. One that is not active names the active one, which is tried next; one that
//! is not reached is followed by the next in the list. What may be done twice is tried again; what may not (a change that
//! an operator asked for) is tried again only if it certainly was not done. Pauses double up to a bound.

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

/// What a repeated call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The same again: repeat after any failure.
    Harmless,
    /// Perhaps a second change: repeat only if nothing was done.
    OnlyIfNotDone,
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
    /// Every controller was tried, and none answered: call again after so long, ms, to be cut by chance.
    AgainAfter(u64),
}

/// A connection that stood for so long counts as good: after it the pauses begin again with the first, ms.
const STOOD_MS: u64 = 1_000;

/// The pauses between attempts, ms.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: u64,
    next: u64,
    longest: u64,
}

impl Backoff {
    /// Pauses that begin with `first_ms` and double up to `max_ms`.
    pub fn new(first_ms: u64, max_ms: u64) -> Self {
        Self { first: first_ms, next: first_ms, longest: max_ms }
    }

    /// The next pause in full, ms; the one after it is longer.
    pub fn pause_ms(&mut self) -> u64 {
        let pause_ms = self.next;
        self.next = (pause_ms * 2).min(self.longest);
        pause_ms
    }

    /// An attempt connected, and the connection stood for so long, ms.
    pub fn stood(&mut self, for_ms: u64) {
        if for_ms > STOOD_MS {
            self.next = self.first;
        }
    }
}

/// The controllers, and the one to call next.
#[derive(Clone, Debug)]
pub struct Candidates {
    addresses: Vec<String>,
    /// The active one, as far as known.
    next: String,
}

impl Candidates {
    /// The configured addresses, in order.
    pub fn new(addresses: Vec<String>) -> Self {
        let next = addresses.first().cloned().unwrap_or_default();
        Self { addresses, next }
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
        let after = self.addresses.iter().position(|known| known == address).map_or(0, |index| index + 1);
        let following = || self.addresses.get(after % self.count()).cloned().unwrap_or_default();
        self.next = named.unwrap_or_else(following);
        is_named
    }
}

/// The attempts of one call.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    repeat: Repeat,
    backoff: Backoff,
    tried: usize,
}

impl Attempts {
    /// No attempt yet. `backoff` gives the pause after every round of all controllers.
    pub fn new(repeat: Repeat, backoff: Backoff) -> Self {
        Self { repeat, backoff, tried: 0 }
    }

    /// An attempt failed with `detail`. `from_node`: the controller itself said it, and not the connection.
    pub fn is_answer(detail: &ErrorDetail, from_node: bool) -> bool {
        from_node && !is_elsewhere(detail)
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
        if is_over || (may_be_done && self.repeat == Repeat::OnlyIfNotDone) {
            return Next::GiveUp;
        }
        self.tried += 1;
        if is_named || !self.tried.is_multiple_of(candidates) {
            return Next::Again;
        }
        Next::AgainAfter(self.backoff.pause_ms())
    }
}

/// True if the controller that answered is not the active one: nothing was done.
fn is_elsewhere(detail: &ErrorDetail) -> bool {
    matches!(detail.code, ErrorCode::NotController | ErrorCode::NoQuorum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode) -> ErrorDetail {
        ErrorDetail::new(code, "test")
    }

    #[test]
    fn what_may_be_done_twice_alone_is_repeated_when_the_outcome_is_unknown() {
        let lost = error(ErrorCode::BrokerNotAvailable).with_outcome(Outcome::Unknown);
        let mut once = Attempts::new(Repeat::OnlyIfNotDone, Backoff::new(20, 100));
        assert_eq!(once.failed(&lost, (false, false), false, 3), Next::GiveUp);
        let mut harmless = Attempts::new(Repeat::Harmless, Backoff::new(20, 100));
        assert_eq!(harmless.failed(&lost, (false, false), false, 3), Next::Again);
        assert_eq!(harmless.failed(&lost, (false, false), true, 3), Next::GiveUp, "the deadline is over");
        let elsewhere = error(ErrorCode::NotController).with_outcome(Outcome::Unknown);
        assert_eq!(once.failed(&elsewhere, (true, true), false, 3), Next::Again, "certainly not done");
        assert_eq!(once.failed(&error(ErrorCode::InvalidTopic), (true, false), false, 3), Next::Answered);
    }

    #[test]
    fn a_round_that_nobody_answers_is_followed_by_a_longer_and_longer_pause() {
        let mut attempts = Attempts::new(Repeat::Harmless, Backoff::new(20, 50));
        let gone = error(ErrorCode::NoQuorum);
        let next: Vec<Next> = (0..6).map(|_| attempts.failed(&gone, (true, false), false, 2)).collect();
        let after = Next::AgainAfter;
        assert_eq!(next, [Next::Again, after(20), Next::Again, after(40), Next::Again, after(50)]);
    }

    #[test]
    fn pauses_grow_and_begin_again_after_a_good_connection() {
        let mut backoff = Backoff::new(10, 30);
        assert_eq!([(); 4].map(|()| backoff.pause_ms()), [10, 20, 30, 30]);
        backoff.stood(STOOD_MS);
        assert_eq!(backoff.pause_ms(), 30, "it broke too soon");
        backoff.stood(STOOD_MS + 1);
        assert_eq!(backoff.pause_ms(), 10);
    }

    #[test]
    fn the_one_that_is_named_comes_next_else_the_following() {
        let mut candidates = Candidates::new(["a", "b", "c"].map(str::to_owned).into());
        assert!(!candidates.failed("a", &error(ErrorCode::BrokerNotAvailable)));
        assert_eq!(candidates.candidate(), "b");
        assert!(!candidates.failed("c", &error(ErrorCode::BrokerNotAvailable)));
        assert_eq!(candidates.candidate(), "a");
    }
}
