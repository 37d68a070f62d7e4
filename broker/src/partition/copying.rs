//! Copies that moves make, held to the limit that an operator set: a follower that a move brings here asks for records
//! no faster than this broker may copy. Pure.
//!
//! Place: between the core's `SendFetch` and the queue to the leader's broker. While its turn has not come, a follower's
//! position is told at once without the request for records, and the request follows later; the core takes it for asked.
//!
//! Invariants: (1) at most one request is held, the latest; it ends with the role; (2) a replica that is not being added,
//! or is no longer, never waits.

use std::num::NonZeroU64;

use holdfast_proto::ids::{BrokerId, Millis};
use holdfast_replication::FetchPosition;

/// What all replicas of a broker that moves bring here may copy together.
pub trait Turns {
    /// Takes what an answer is expected to bring, bytes, or says when to ask again.
    fn take(&self, now: Millis, limit: NonZeroU64, expected: u64) -> Result<(), Millis>;
    /// An answer brought `bytes` where `expected` were taken.
    fn settle(&self, expected: u64, bytes: u64);
}

/// What one follower has to do with the limit.
#[derive(Debug)]
pub struct Copying {
    limit: Option<NonZeroU64>,
    /// A request whose turn has not come.
    held: Option<Held>,
    /// What its next answer is taken to bring, bytes: what the last one brought.
    expected: u64,
    /// What was taken from the budget for the answer that is awaited.
    taken: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    to: BrokerId,
    position: FetchPosition,
    until: Millis,
}

impl Copying {
    /// Nothing is limited; an answer brings at most `max_bytes`.
    pub fn new(max_bytes: u64) -> Self {
        Self { limit: None, held: None, expected: max_bytes, taken: None }
    }

    /// The limit from now on, bytes a second, if this replica is being added.
    pub fn limit(&mut self, limit: Option<NonZeroU64>) {
        if self.limit != limit {
            self.limit = limit;
            if let Some(held) = &mut self.held {
                held.until = Millis(0);
            }
        }
    }

    /// When the request that is held has to be looked at.
    pub fn due(&self) -> Option<Millis> {
        self.held.map(|held| held.until)
    }

    /// The role ended: what was requested is requested no more.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// What to tell the leader now, where the core wants this: a request for records may have to wait for its turn.
    pub fn tell(&mut self, now: Millis, to: BrokerId, position: FetchPosition, turns: &impl Turns) -> FetchPosition {
        if position.wants_records {
            self.held = None;
            if let Err(until) = self.take_turn(now, turns) {
                self.held = Some(Held { to, position, until });
            }
        } else if let Some(held) = self.held.as_mut().filter(|held| held.to == to) {
            held.position = FetchPosition { wants_records: true, ..position };
        }
        FetchPosition { wants_records: position.wants_records && self.held.is_none(), ..position }
    }

    /// The request that was held, if its turn has come: whom to tell what.
    pub fn ask_again(&mut self, now: Millis, turns: &impl Turns) -> Option<(BrokerId, FetchPosition)> {
        let held = self.held.filter(|held| held.until <= now)?;
        match self.take_turn(now, turns) {
            Ok(()) => {
                self.held = None;
                Some((held.to, held.position))
            }
            Err(until) => {
                self.held = Some(Held { until, ..held });
                None
            }
        }
    }

    /// An answer came, with so many bytes of records.
    pub fn copied(&mut self, bytes: u64, turns: &impl Turns) {
        if let Some(taken) = self.taken.take() {
            turns.settle(taken, bytes);
        }
        if bytes > 0 {
            self.expected = bytes;
        }
    }

    fn take_turn(&mut self, now: Millis, turns: &impl Turns) -> Result<(), Millis> {
        let Some(limit) = self.limit else { return Ok(()) };
        // What was taken for an answer that never came.
        if let Some(taken) = self.taken.take() {
            turns.settle(taken, 0);
        }
        turns.take(now, limit, self.expected)?;
        self.taken = Some(self.expected);
        Ok(())
    }
}
