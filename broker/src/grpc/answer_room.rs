//! Room for an answer whose size is known before it is made.

use holdfast_proto::error::ErrorCode;

use super::unsent::Unsent;
use crate::partition::{
    answer_memory::{AnswerMemory, AnswerRoom},
    answer_reader::Reader,
};

/// Bytes of an answer that needs no room: a connection has few calls at a time.
pub(super) const UNCOUNTED_BYTES: usize = 4096;

/// Room for `bytes`, to be held until they have left the socket; none for few. OVERLOADED if there is not so much.
pub(super) async fn answer_room(
    memory: &AnswerMemory,
    reader: Option<&Reader>,
    bytes: usize,
) -> Result<Option<AnswerRoom>, ErrorCode> {
    if bytes <= UNCOUNTED_BYTES {
        return Ok(None);
    }
    let mut room = memory.room(reader, bytes).await?;
    if room.bytes() < bytes && !room.fit(bytes) {
        // In the part that large answers have, one at a time; nothing is held while it waits.
        drop(room);
        room = memory.exactly(bytes).await?;
    }
    Ok(Some(room))
}

/// As [`answer_room`], at once; false if there is none now.
pub(super) fn hold_room_now(memory: &AnswerMemory, unsent: &Unsent, bytes: usize) -> bool {
    if bytes <= UNCOUNTED_BYTES {
        return true;
    }
    let offered = memory.try_room(unsent.reader().as_deref(), bytes).filter(|room| room.bytes() >= bytes);
    let room = offered.or_else(|| memory.try_exactly(bytes));
    let is_held = room.is_some();
    // Also without room: who takes nothing of it counts as one that stands still.
    unsent.hold(room);
    is_held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_answer_holds_what_it_takes_up_and_a_small_one_nothing() {
        let memory = AnswerMemory::new(8 << 20);
        assert!(answer_room(&memory, None, 4_096).await.unwrap().is_none());
        let all = answer_room(&memory, None, 4 << 20).await.unwrap().expect("room");
        assert_eq!(all.bytes(), 4 << 20);
        assert!(memory.try_room(None, 1).is_none(), "nothing is left for others");
        let large = answer_room(&memory, None, 64 * 1024);
        let unsent = Unsent::default();
        assert!(hold_room_now(&memory, &unsent, 4_096), "a small one needs none");
        assert!(hold_room_now(&memory, &unsent, 64 * 1024), "in the part that large ones have");
        assert!(!hold_room_now(&memory, &unsent, 64 * 1024));
        drop((all, unsent));
        assert!(large.await.unwrap().is_some());
    }
}
