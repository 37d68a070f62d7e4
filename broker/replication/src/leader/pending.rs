//! Produces that wait for their answer, at a leader.
//!
//! Invariants: both queues are in order of their ends; together they hold at most `limit` entries; what has met its
//! condition is not in them after a step.
//!
//! A produce that has been appended is never taken back when the ISR falls below min.insync.replicas: it keeps waiting,
//! for the ISR may recover, and is answered at its deadline (NOT_ENOUGH_REPLICAS_AFTER_APPEND if the ISR is still too
//! small, else REQUEST_TIMED_OUT; the outcome is unknown in both cases). Kafka waits as well, as its high watermark
//! does not stand still; here an early error would only make the client send again what may be acknowledged a moment
//! later.

use std::collections::VecDeque;

use holdfast_proto::ids::{Millis, Offset};

use crate::event::{Acks, ProduceToken};

/// One produce that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) token: ProduceToken,
    pub(crate) base_offset: Offset,
    /// End of its batch: the condition is that the cursor that it waits for has reached it.
    pub(crate) end_offset: Offset,
    pub(crate) deadline: Millis,
}

/// The waiting produces of one leader.
#[derive(Clone, Debug)]
pub(crate) struct PendingProduces {
    /// acks=1: wait for the leader's own counted end.
    for_leader: VecDeque<Waiting>,
    /// acks=all: wait for the high watermark.
    for_high_watermark: VecDeque<Waiting>,
    /// Not later than the earliest deadline; exact after a look at all of them.
    earliest: Option<Millis>,
    limit: usize,
}

impl PendingProduces {
    pub(crate) fn new(limit: usize) -> Self {
        Self { for_leader: VecDeque::new(), for_high_watermark: VecDeque::new(), earliest: None, limit }
    }

    pub(crate) fn len(&self) -> usize {
        self.for_leader.len() + self.for_high_watermark.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// Not later than the moment at which [`Self::take_expired`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.earliest
    }

    /// Lets a produce wait; `acks` is not `None`. Usually it has the highest end; a duplicate of a batch still in
    /// flight has not, and lines up behind it.
    pub(crate) fn insert(&mut self, acks: Acks, waiting: Waiting) {
        let queue = match acks {
            Acks::Leader => &mut self.for_leader,
            Acks::None | Acks::All => &mut self.for_high_watermark,
        };
        let at = if queue.back().is_none_or(|last| last.end_offset <= waiting.end_offset) {
            queue.len()
        } else {
            queue.partition_point(|other| other.end_offset <= waiting.end_offset)
        };
        queue.insert(at, waiting);
        self.earliest = Some(self.earliest.map_or(waiting.deadline, |earliest| earliest.min(waiting.deadline)));
    }

    /// The next acks=1 produce that `counted_end` covers.
    pub(crate) fn pop_on_leader(&mut self, counted_end: Offset) -> Option<Waiting> {
        if self.for_leader.front()?.end_offset > counted_end {
            return None;
        }
        let done = self.for_leader.pop_front();
        self.forget_deadline_if_empty();
        done
    }

    /// The next acks=all produce that `high_watermark` has passed.
    pub(crate) fn pop_committed(&mut self, high_watermark: Offset) -> Option<Waiting> {
        if self.for_high_watermark.front()?.end_offset > high_watermark {
            return None;
        }
        let done = self.for_high_watermark.pop_front();
        self.forget_deadline_if_empty();
        done
    }

    /// Takes out what has waited too long, in order.
    pub(crate) fn take_expired(&mut self, now: Millis, mut expired: impl FnMut(Acks, Waiting)) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        let mut earliest: Option<Millis> = None;
        for (acks, queue) in [(Acks::Leader, &mut self.for_leader), (Acks::All, &mut self.for_high_watermark)] {
            queue.retain(|waiting| {
                if waiting.deadline <= now {
                    expired(acks, *waiting);
                    return false;
                }
                earliest = Some(earliest.map_or(waiting.deadline, |other| other.min(waiting.deadline)));
                true
            });
        }
        self.earliest = earliest;
    }

    /// Takes out everything, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waiting> + '_ {
        self.earliest = None;
        self.for_leader.drain(..).chain(self.for_high_watermark.drain(..))
    }

    /// The waiting produces with what each waits for, for the invariants.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Acks, &Waiting)> {
        let leader = self.for_leader.iter().map(|waiting| (Acks::Leader, waiting));
        leader.chain(self.for_high_watermark.iter().map(|waiting| (Acks::All, waiting)))
    }

    fn forget_deadline_if_empty(&mut self) {
        if self.len() == 0 {
            self.earliest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(token: u64, end: u64, deadline: u64) -> Waiting {
        let base_offset = Offset(end - 1);
        Waiting { token: ProduceToken(token), base_offset, end_offset: Offset(end), deadline: Millis(deadline) }
    }

    #[test]
    fn a_duplicate_lines_up_behind_its_original() {
        let mut pending = PendingProduces::new(10);
        for (token, end) in [(1, 5), (2, 8), (3, 5)] {
            pending.insert(Acks::All, waiting(token, end, 100));
        }
        let order: Vec<u64> = std::iter::from_fn(|| pending.pop_committed(Offset(8))).map(|w| w.token.0).collect();
        assert_eq!(order, [1, 3, 2]);
        assert_eq!(pending.next_deadline(), None);
    }

    #[test]
    fn each_waits_for_its_own_cursor() {
        let mut pending = PendingProduces::new(10);
        pending.insert(Acks::Leader, waiting(1, 5, 100));
        pending.insert(Acks::All, waiting(2, 5, 100));
        assert_eq!(pending.pop_committed(Offset(4)), None);
        assert_eq!(pending.pop_on_leader(Offset(5)).map(|w| w.token.0), Some(1));
        assert_eq!(pending.pop_on_leader(Offset(9)), None);
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn what_waits_too_long_is_taken_out() {
        let mut pending = PendingProduces::new(2);
        pending.insert(Acks::All, waiting(1, 5, 100));
        pending.insert(Acks::All, waiting(2, 6, 50));
        assert!(pending.is_full());
        assert_eq!(pending.next_deadline(), Some(Millis(50)));
        let mut expired = Vec::new();
        pending.take_expired(Millis(49), |_, w| expired.push(w.token.0));
        assert!(expired.is_empty());
        pending.take_expired(Millis(50), |_, w| expired.push(w.token.0));
        assert_eq!(expired, [2]);
        assert_eq!(pending.next_deadline(), Some(Millis(100)));
        assert_eq!(pending.drain().count(), 1);
    }
}
