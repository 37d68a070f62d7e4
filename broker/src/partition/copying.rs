//! Copies that moves make, held to the limit that an operator set: a follower that a move brings here asks for records
//! no faster than this broker may copy. Pure.
//!
//! Place: between the core's `SendFetch` and what waits for the leader's broker. While its turn has not come, a
//! follower's position is told at once without the request for records, and the request follows later; the core takes
//! it for asked.
//!
//! Invariants: (1) at most one request is held, the latest; it ends with the role; (2) a replica that is not being
//! added, or is no longer, never waits.

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
    /// What was taken from the budget for the answer that is under way.
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

    /// The role ended: the request that is held is dropped.
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionEpoch};

    use super::*;

    const LEADER: BrokerId = BrokerId(2);

    /// A turn comes from this time on; keeps what was taken and what was settled.
    #[derive(Default)]
    struct Budget {
        from: Cell<u64>,
        taken: RefCell<Vec<u64>>,
        settled: RefCell<Vec<(u64, u64)>>,
    }

    impl Turns for Budget {
        fn take(&self, now: Millis, _limit: NonZeroU64, expected: u64) -> Result<(), Millis> {
            if now.0 < self.from.get() {
                return Err(Millis(self.from.get()));
            }
            self.taken.borrow_mut().push(expected);
            Ok(())
        }

        fn settle(&self, expected: u64, bytes: u64) {
            self.settled.borrow_mut().push((expected, bytes));
        }
    }

    fn position(end: u64, wants_records: bool) -> FetchPosition {
        FetchPosition {
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            fetch_offset: Offset(end),
            flushed_offset: Offset(end),
            last_fetched_epoch: None,
            wants_records,
        }
    }

    fn limited() -> Copying {
        let mut copying = Copying::new(1_000);
        copying.limit(NonZeroU64::new(100));
        copying
    }

    #[test]
    fn a_replica_without_limit_asks_at_once() {
        let (mut copying, budget) = (Copying::new(1_000), Budget::default());
        budget.from.set(u64::MAX);
        assert_eq!(copying.tell(Millis(1), LEADER, position(5, true), &budget), position(5, true));
        assert_eq!(copying.due(), None);
    }

    #[test]
    fn a_request_waits_for_its_turn_while_the_position_is_told() {
        let (mut copying, budget) = (limited(), Budget::default());
        budget.from.set(50);
        assert_eq!(copying.tell(Millis(1), LEADER, position(5, true), &budget), position(5, false));
        assert_eq!(copying.due(), Some(Millis(50)));
        assert_eq!(copying.tell(Millis(2), LEADER, position(8, false), &budget), position(8, false));
        assert_eq!(copying.ask_again(Millis(49), &budget), None);
        assert_eq!(
            copying.ask_again(Millis(50), &budget),
            Some((LEADER, position(8, true))),
            "with the latest position"
        );
        assert_eq!((copying.due(), &budget.taken.borrow()[..]), (None, &[1_000][..]));
    }

    #[test]
    fn what_is_held_ends_with_the_role_and_is_looked_at_again_when_the_limit_changes() {
        let (mut copying, budget) = (limited(), Budget::default());
        budget.from.set(50);
        copying.tell(Millis(1), LEADER, position(5, true), &budget);
        copying.limit(None);
        assert_eq!(copying.ask_again(Millis(2), &budget), Some((LEADER, position(5, true))));
        let mut copying = limited();
        copying.tell(Millis(1), LEADER, position(5, true), &budget);
        copying.forget();
        assert_eq!((copying.due(), copying.ask_again(Millis(99), &budget)), (None, None));
    }

    #[test]
    fn an_answer_settles_what_was_taken_and_one_that_never_came_gives_all_back() {
        let (mut copying, budget) = (limited(), Budget::default());
        copying.tell(Millis(1), LEADER, position(5, true), &budget);
        copying.copied(300, &budget);
        copying.copied(0, &budget);
        copying.tell(Millis(2), LEADER, position(9, true), &budget);
        copying.tell(Millis(3), LEADER, position(9, true), &budget);
        assert_eq!(*budget.taken.borrow(), [1_000, 300, 300], "the next answer is expected to be like the last");
        assert_eq!(*budget.settled.borrow(), [(1_000, 300), (300, 0)]);
    }
}
