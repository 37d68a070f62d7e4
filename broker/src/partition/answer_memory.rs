//! Memory for answers: what was read for consumers or for followers and has not left the socket yet.
//!
//! Invariants:
//! 1. Room is taken before the first read of an answer and given back when the answer's last byte was handed to the
//!    kernel. Who holds room never waits for more: it gives back what it has first. So nobody waits for ever, whatever
//!    the sizes.
//! 2. An answer gets at most a quarter of what is free, and [`LEAST_BYTES`] at least: the fuller it is the smaller answers
//!    become, so that those who do not read what they asked for leave something to the others for long.
//! 3. Bytes that are held never pass the limit: a first batch that is larger than the room of its answer is read again
//!    once there is room for it.
//! 4. While somebody waits for room, a reader that takes nothing of its answers for some seconds loses its connection, and
//!    with it what it holds.

use std::{pin::pin, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, timeout_at},
};

use holdfast_node::closer::Closer;
use holdfast_proto::error::ErrorCode;

use super::answer_reader::{Reader, Readers};

/// Room that an answer gets however little is free, bytes; less if it wants less.
const LEAST_BYTES: usize = 64 * 1024;

/// How long who waits for room has patience, and with whom.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// How long a reader may stand still while others wait.
    stalled_after: Duration,
    /// How often those who wait look for such readers.
    look_every: Duration,
    /// How long an answer waits. Then it is refused, so that its asker learns why nothing comes.
    wait: Duration,
}

const PATIENCE: Patience = Patience {
    stalled_after: Duration::from_secs(5),
    look_every: Duration::from_millis(500),
    wait: Duration::from_secs(10),
};

/// What one permit stands for, bytes: 32 bits count all that is ever wanted.
const UNIT_BYTES: usize = 1024;

/// One share of the memory for answers.
#[derive(Clone, Debug)]
pub struct AnswerMemory {
    free: Arc<Semaphore>,
    limit_units: u32,
    readers: Arc<Readers>,
    patience: Patience,
}

/// A piece of it; given back when dropped.
#[derive(Debug)]
pub struct AnswerRoom(OwnedSemaphorePermit);

impl AnswerMemory {
    /// A share of `limit_bytes`, which have to hold the largest batch.
    pub fn new(limit_bytes: usize) -> Self {
        let limit_units = units(limit_bytes);
        let free = Arc::new(Semaphore::new(limit_units as usize));
        Self { free, limit_units, readers: Arc::default(), patience: PATIENCE }
    }

    /// Room for up to `wanted` bytes, as much as a newcomer gets. OVERLOADED if there is none for long.
    pub async fn room(&self, wanted: usize) -> Result<AnswerRoom, ErrorCode> {
        self.take(self.offered(wanted)).await
    }

    /// As [`Self::room`], if there is some at once.
    pub fn try_room(&self, wanted: usize) -> Option<AnswerRoom> {
        Arc::clone(&self.free).try_acquire_many_owned(self.offered(wanted)).ok().map(AnswerRoom)
    }

    /// Room for `bytes` in one piece, as for a batch that is larger than what a newcomer gets. Must not be asked for by one
    /// that holds room.
    pub async fn exactly(&self, bytes: usize) -> Result<AnswerRoom, ErrorCode> {
        self.take(units(bytes).min(self.limit_units)).await
    }

    /// One that answers will go to; `closer` ends its connection.
    pub fn reader(&self, closer: Closer) -> Arc<Reader> {
        self.readers.add(closer)
    }

    async fn take(&self, wanted: u32) -> Result<AnswerRoom, ErrorCode> {
        let Patience { stalled_after, look_every, wait } = self.patience;
        let start = Instant::now();
        // Kept from look to look: who waits longest gets room first.
        let mut taking = pin!(Arc::clone(&self.free).acquire_many_owned(wanted));
        let mut next_look = start + look_every;
        while next_look <= start + wait {
            match timeout_at(next_look, &mut taking).await {
                Ok(Ok(permit)) => return Ok(AnswerRoom(permit)),
                Ok(Err(_closed)) => return Err(ErrorCode::ShuttingDown),
                Err(_late) => next_look += look_every,
            }
            let closed = self.readers.close_stalled(stalled_after);
            if closed > 0 {
                tracing::warn!(closed, "connections were closed: they read nothing of their answers, and others wait");
            }
        }
        Err(ErrorCode::Overloaded)
    }

    fn offered(&self, wanted: usize) -> u32 {
        let quarter = u32::try_from(self.free.available_permits() / 4).unwrap_or(u32::MAX);
        units(wanted).min(quarter.max(units(LEAST_BYTES))).min(self.limit_units)
    }
}

impl AnswerRoom {
    /// Bytes that it may hold.
    pub fn bytes(&self) -> usize {
        self.0.num_permits() * UNIT_BYTES
    }

    /// Makes it as large as what was read. False if that is more than it can get at once: then what was read must go.
    pub fn fit(&mut self, bytes: usize) -> bool {
        let (wanted, held) = (units(bytes) as usize, self.0.num_permits());
        if wanted <= held {
            drop(self.0.split(held - wanted));
            return true;
        }
        let more = u32::try_from(wanted - held).unwrap_or(u32::MAX);
        match Arc::clone(self.0.semaphore()).try_acquire_many_owned(more) {
            Ok(more) => {
                self.0.merge(more);
                true
            }
            Err(_) => false,
        }
    }
}

/// Units that hold so many bytes, one at least: an empty answer costs something too.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn answers_become_smaller_as_the_memory_fills_and_never_pass_it() {
        let memory = AnswerMemory::new(16 * MIB);
        let mut held = Vec::new();
        while let Some(room) = memory.try_room(8 * MIB) {
            held.push(room);
        }
        assert_eq!(held[0].bytes(), 4 * MIB);
        assert_eq!(held[1].bytes(), 3 * MIB);
        assert!(held.len() > 15, "{} readers that stand still leave nothing to the others", held.len());
        assert!(held.iter().map(AnswerRoom::bytes).sum::<usize>() <= 16 * MIB);
        held.clear();
        assert_eq!(memory.try_room(8 * MIB).map(|room| room.bytes()), Some(4 * MIB));
    }

    #[test]
    fn room_follows_what_was_read() {
        let memory = AnswerMemory::new(MIB);
        let mut room = memory.try_room(200 * 1024).unwrap();
        assert!(room.fit(10));
        assert_eq!(room.bytes(), 1024);
        assert!(room.fit(MIB / 2), "a first batch may be larger than its room as long as there is more");
        assert!(!room.fit(2 * MIB));
        drop(room);
        assert_eq!(memory.free.available_permits(), 1024);
    }

    #[tokio::test]
    async fn a_large_batch_waits_for_room_of_its_own() {
        let memory = AnswerMemory::new(MIB);
        let small = memory.try_room(LEAST_BYTES).unwrap();
        let mut large = Box::pin(memory.exactly(50 * MIB));
        assert!((&mut large).now_or_never().is_none());
        drop(small);
        assert_eq!(large.now_or_never().unwrap().unwrap().bytes(), MIB, "never more than there is");
    }

    #[tokio::test]
    async fn who_finds_no_room_for_long_is_refused() {
        let ms = Duration::from_millis;
        let patience = Patience { stalled_after: ms(1), look_every: ms(10), wait: ms(50) };
        let memory = AnswerMemory { patience, ..AnswerMemory::new(MIB) };
        let _all = memory.exactly(MIB).await.unwrap();
        assert_eq!(memory.room(1).await.unwrap_err(), ErrorCode::Overloaded);
    }
}
