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

/// What a request for records takes of the broker's budget before it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The limit that holds, bytes a second.
    pub limit: NonZeroU64,
    /// What the answer is expected to bring, bytes.
    pub expected: u64,
    /// What was taken for an answer that never came, bytes: it goes back first.
    pub unused: u64,
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

    /// What to take of the budget before a request for records goes out; `None` if no limit holds. Whether it was taken,
    /// [`Self::tell`] or [`Self::ask_again`] has to be told next.
    pub fn turn(&mut self) -> Option<Turn> {
        let limit = self.limit?;
        Some(Turn { limit, expected: self.expected, unused: self.taken.take().unwrap_or(0) })
    }

    /// What to tell the leader now, where the core wants this. `turn`: whether a request for records may go, or when to
    /// ask again.
    pub fn tell(&mut self, to: BrokerId, position: FetchPosition, turn: Result<(), Millis>) -> FetchPosition {
        if position.wants_records {
            self.held = None;
            match turn {
                Ok(()) => self.took(),
                Err(until) => self.held = Some(Held { to, position, until }),
            }
        } else if let Some(held) = self.held.as_mut().filter(|held| held.to == to) {
            held.position = FetchPosition { wants_records: true, ..position };
        }
        FetchPosition { wants_records: position.wants_records && self.held.is_none(), ..position }
    }

    /// The request that is held, if its turn has come: whom to tell what. To be called when it is [due](Self::due).
    pub fn ask_again(&mut self, turn: Result<(), Millis>) -> Option<(BrokerId, FetchPosition)> {
        let held = self.held?;
        match turn {
            Ok(()) => {
                self.held = None;
                self.took();
                Some((held.to, held.position))
            }
            Err(until) => {
                self.held = Some(Held { until, ..held });
                None
            }
        }
    }

    /// An answer came, with so many bytes of records. What was taken for it, to be settled with them.
    pub fn copied(&mut self, bytes: u64) -> Option<u64> {
        if bytes > 0 {
            self.expected = bytes;
        }
        self.taken.take()
    }

    fn took(&mut self) {
        if self.limit.is_some() {
            self.taken = Some(self.expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionEpoch};

    use super::*;

    const LEADER: BrokerId = BrokerId(2);
    const LIMIT: NonZeroU64 = NonZeroU64::new(100).unwrap();

    fn position(end: u64, wants_records: bool) -> FetchPosition {
        FetchPosition {
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            fetch_offset: Offset(end),
            flushed_offset: Offset(end),
            last_fetched_epoch: None,
            log_start_offset: Some(Offset(0)),
            wants_records,
        }
    }

    fn limited() -> Copying {
        let mut copying = Copying::new(1_000);
        copying.limit(Some(LIMIT));
        copying
    }

    #[test]
    fn a_replica_without_limit_asks_at_once() {
        let mut copying = Copying::new(1_000);
        assert_eq!(copying.turn(), None);
        assert_eq!(copying.tell(LEADER, position(5, true), Ok(())), position(5, true));
        assert_eq!((copying.due(), copying.copied(300)), (None, None), "and takes nothing");
    }

    #[test]
    fn a_request_waits_for_its_turn_while_the_position_is_told() {
        let mut copying = limited();
        assert_eq!(copying.turn(), Some(Turn { limit: LIMIT, expected: 1_000, unused: 0 }));
        assert_eq!(copying.tell(LEADER, position(5, true), Err(Millis(50))), position(5, false));
        assert_eq!(copying.due(), Some(Millis(50)));
        assert_eq!(copying.tell(LEADER, position(8, false), Ok(())), position(8, false));
        assert_eq!(copying.ask_again(Err(Millis(60))), None);
        assert_eq!(copying.due(), Some(Millis(60)));
        assert_eq!(copying.ask_again(Ok(())), Some((LEADER, position(8, true))), "with the latest position");
        assert_eq!((copying.due(), copying.copied(0)), (None, Some(1_000)));
    }

    #[test]
    fn what_is_held_ends_with_the_role_and_is_looked_at_again_when_the_limit_changes() {
        let mut copying = limited();
        copying.tell(LEADER, position(5, true), Err(Millis(50)));
        copying.limit(None);
        assert_eq!((copying.due(), copying.turn()), (Some(Millis(0)), None));
        assert_eq!(copying.ask_again(Ok(())), Some((LEADER, position(5, true))));
        let mut copying = limited();
        copying.tell(LEADER, position(5, true), Err(Millis(50)));
        copying.forget();
        assert_eq!((copying.due(), copying.ask_again(Ok(()))), (None, None));
    }

    #[test]
    fn an_answer_settles_what_was_taken_and_one_that_never_came_gives_all_back() {
        let mut copying = limited();
        copying.tell(LEADER, position(5, true), Ok(()));
        assert_eq!([copying.copied(300), copying.copied(0)], [Some(1_000), None]);
        let turn = |unused| Some(Turn { limit: LIMIT, expected: 300, unused });
        assert_eq!(copying.turn(), turn(0), "the next answer is expected to be like the last");
        copying.tell(LEADER, position(9, true), Ok(()));
        assert_eq!(copying.turn(), turn(300));
        copying.tell(LEADER, position(9, true), Err(Millis(50)));
        assert_eq!(copying.turn(), turn(0), "once");
    }
}
