//! Does what the limit on copies for moves says: takes from the broker's budget, and asks when a follower's turn has come.

use holdfast_proto::ids::{BrokerId, Millis};
use holdfast_replication::FetchPosition;

use super::partition::PartitionActor;

impl PartitionActor {
    /// Tells a leader's broker where this follower stands; a request for records may have to wait for its turn.
    pub(super) fn tell_position(&mut self, now: Millis, to: BrokerId, position: FetchPosition) {
        let turn = if position.wants_records { self.take_turn(now) } else { Ok(()) };
        let position = self.copying.tell(to, position, turn);
        self.context.outboxes.positions.send(to, self.partition.id, position);
    }

    /// Sends the request for records that is held, if its turn has come.
    pub(super) fn ask_again(&mut self) {
        let now = self.context.clock.now();
        if self.copying.due().is_none_or(|due| due > now) {
            return;
        }
        let turn = self.take_turn(now);
        if let Some((to, position)) = self.copying.ask_again(turn) {
            self.context.outboxes.positions.send(to, self.partition.id, position);
        }
    }

    /// An answer came with so many bytes of records, or none will be looked at any more.
    pub(super) fn copied(&mut self, bytes: u64) {
        if let Some(taken) = self.copying.copied(bytes) {
            self.context.move_budget.lock().settle(taken, bytes);
        }
    }

    /// Lets a request for records go now, or says when to ask again.
    fn take_turn(&mut self, now: Millis) -> Result<(), Millis> {
        let Some(turn) = self.copying.turn() else { return Ok(()) };
        let mut budget = self.context.move_budget.lock();
        budget.settle(turn.unused, 0);
        budget.take(now, turn.limit, turn.expected)
    }
}
