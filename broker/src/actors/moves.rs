//! Copies that moves make, held to the limit that an operator set: a follower that a move brings here asks for records
//! no faster than this broker may copy.
//!
//! Place: between the core's `SendFetch` and the queue to the leader's broker. While its turn has not come, a follower's
//! position is told at once without the wish for records, and the wish follows later; the core takes it for asked.
//!
//! Invariants: (1) at most one wish is held, the latest; it ends with the role; (2) a replica that is not being added, or
//! is no longer, never waits.

use std::num::NonZeroU64;

use holdfast_proto::ids::{BrokerId, Millis};
use holdfast_replication::FetchPosition;

use super::partition::PartitionActor;

/// What one follower has to do with the limit.
#[derive(Debug)]
pub(super) struct Copying {
    limit: Option<NonZeroU64>,
    /// A wish whose turn has not come.
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
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { limit: None, held: None, expected: max_bytes, taken: None }
    }

    /// The limit from now on, if this replica is being added.
    pub(super) fn limit(&mut self, limit: Option<NonZeroU64>) {
        if self.limit != limit {
            self.limit = limit;
            if let Some(held) = &mut self.held {
                held.until = Millis(0);
            }
        }
    }

    /// When the wish that is held has to be looked at.
    pub(super) fn due(&self) -> Option<Millis> {
        self.held.map(|held| held.until)
    }

    /// The role ended: what was wished is wished no more.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }
}

impl PartitionActor {
    /// Tells the leader where this follower stands; a wish for records waits for its turn.
    pub(super) fn tell_leader(&mut self, now: Millis, to: BrokerId, position: FetchPosition) {
        if position.wants_records {
            self.copying.held = None;
            if let Err(until) = self.take_turn(now) {
                self.copying.held = Some(Held { to, position, until });
            }
        } else if let Some(held) = self.copying.held.as_mut().filter(|held| held.to == to) {
            held.position = FetchPosition { wants_records: true, ..position };
        }
        let wants_records = position.wants_records && self.copying.held.is_none();
        self.context.fetches.send(to, self.partition.id, FetchPosition { wants_records, ..position });
    }

    /// Sends the wish that is held, if its turn has come.
    pub(super) fn wish_again(&mut self) {
        let now = self.context.clock.now();
        let Some(held) = self.copying.held.filter(|held| held.until <= now) else { return };
        match self.take_turn(now) {
            Ok(()) => {
                self.copying.held = None;
                self.context.fetches.send(held.to, self.partition.id, held.position);
            }
            Err(until) => self.copying.held = Some(Held { until, ..held }),
        }
    }

    /// An answer came, with so many bytes of records.
    pub(super) fn copied(&mut self, bytes: u64) {
        if let Some(taken) = self.copying.taken.take() {
            self.context.fetches.copied(taken, bytes);
        }
        if bytes > 0 {
            self.copying.expected = bytes;
        }
    }

    fn take_turn(&mut self, now: Millis) -> Result<(), Millis> {
        let Some(limit) = self.copying.limit else { return Ok(()) };
        // What was taken for an answer that never came.
        if let Some(taken) = self.copying.taken.take() {
            self.context.fetches.copied(taken, 0);
        }
        let expected = self.copying.expected;
        self.context.fetches.take_turn(now, limit, expected)?;
        self.copying.taken = Some(expected);
        Ok(())
    }
}
