//! What a load knows of its keys while it runs, from which it writes its statements.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use holdfast_proto::batch::Header;

use crate::statements::{Held, NEIGHBOURS, STATEMENT_HEADER};

/// Most ranges of absent numbers that an entry names. Of a key that has more no later statement tells anything new; its
/// end marker does.
const RANGES_MAX: usize = 100;

/// How far the keys of one producer were acknowledged. Shared by those who follow the records and the one who sends.
#[derive(Debug)]
pub struct Board {
    /// What is known of each key, by its partition.
    keys: Vec<Mutex<Held>>,
}

impl Board {
    /// Of a producer with a key in each of so many partitions.
    pub fn new(partitions: u32) -> Self {
        Self { keys: (0..partitions).map(|_| Mutex::default()).collect() }
    }

    /// The record with this number is acknowledged. Numbers come in growing order.
    pub fn acknowledged(&self, partition: u32, number: u64, offset: u64) {
        let mut held = self.held(partition as usize);
        if held.holes.ranges() <= RANGES_MAX {
            (held.next, held.offset) = (number.saturating_add(1), offset);
        }
    }

    /// The record with this number may be absent.
    pub fn may_be_absent(&self, partition: u32, number: u64) {
        let mut held = self.held(partition as usize);
        if held.holes.ranges() <= RANGES_MAX {
            held.holes.push(number);
        }
    }

    /// What the key of this partition can state of its neighbours now; `None` if nothing was acknowledged there, or if
    /// there are none.
    pub fn statement(&self, partition: u32) -> Option<Header> {
        let (count, own) = (self.keys.len(), partition as usize);
        let neighbours = (1..count).map(|step| (own + step) % count).take(NEIGHBOURS);
        let entries: Vec<_> = neighbours
            .filter_map(|neighbour| {
                let held = self.held(neighbour);
                (held.next > 0).then(|| held.to_text(neighbour))
            })
            .collect();
        let value = Some(Bytes::from(entries.join(";")));
        (!entries.is_empty()).then(|| Header { key: STATEMENT_HEADER.to_owned(), value })
    }

    fn held(&self, partition: usize) -> MutexGuard<'_, Held> {
        self.keys[partition].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: Option<Header>) -> String {
        String::from_utf8(header.unwrap().value.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_statement_tells_of_the_neighbours_and_not_of_itself() {
        let board = Board::new(3);
        assert_eq!(board.statement(0), None, "nothing was acknowledged");
        board.acknowledged(0, 0, 5);
        assert_eq!(board.statement(0), None, "nothing was acknowledged elsewhere");
        board.acknowledged(2, 0, 3);
        board.may_be_absent(2, 1);
        board.acknowledged(2, 2, 7);
        assert_eq!(text(board.statement(0)), "2:3@7/1");
        assert_eq!(text(board.statement(1)), "2:3@7/1;0:1@5");
        assert_eq!(text(board.statement(2)), "0:1@5");
        assert_eq!(Board::new(1).statement(0), None);
    }

    #[test]
    fn a_statement_of_a_wide_topic_is_bounded() {
        let board = Board::new(100);
        for partition in 0..100 {
            board.acknowledged(partition, 0, 0);
        }
        assert_eq!(text(board.statement(99)).split(';').count(), NEIGHBOURS);
        assert!(text(board.statement(99)).starts_with("0:1@0;1:1@0;"));
    }

    #[test]
    fn a_key_with_too_many_holes_states_no_more_than_before() {
        let board = Board::new(2);
        for number in 0..1_000 {
            board.may_be_absent(1, 2 * number);
            board.acknowledged(1, 2 * number + 1, number);
        }
        let stated = Held::from_text(&text(board.statement(0))).unwrap().1;
        assert_eq!((stated.next, stated.offset), (200, 99));
        let absent: Vec<_> = stated.holes.in_order().into_iter().flatten().collect();
        assert!((0..100).all(|number| absent.contains(&(2 * number))), "what is stated is whole");
    }
}
