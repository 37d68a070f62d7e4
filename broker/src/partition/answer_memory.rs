//! Memory for answers: what was read for consumers or for followers and has not left the socket yet.
//!
//! Invariants:
//! 1. Room is taken before the first read of an answer and given back when the answer's last byte was handed to the
//!    kernel. Who holds room never waits for more: it gives back what it has first. So nobody waits for ever, whatever
//!    the sizes.
//! 2. An answer gets at most a quarter of what is free, and [`LEAST_BYTES`] at least; all answers of one stream, or of the
//!    calls of one connection, together at most half of what is free, and a quarter of the limit. Past that its next one waits for its own to leave, and nobody
//!    waits behind it. The fuller it is the smaller answers become, so that a few readers that do not read what they asked
//!    for leave something to the others for long (Choudhury and Hahne, Dynamic queue length thresholds for shared-memory
//!    packet switches, 1998).
//! 3. Bytes that are held never pass the limit: a first batch that is larger than the room of its answer is read again
//!    once there is room for it. If there is not at once, it waits for a part of the memory that such batches have for
//!    themselves, one at a time: they wait for each other, and nobody waits behind them.
//! 4. While somebody waits for room, a reader loses its connection, and with it what it holds, that takes nothing of its
//!    answers for some seconds, or of one of them for half a minute.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use holdfast_node::closer::Closer;
use holdfast_proto::error::ErrorCode;

use super::answer_reader::{Patience, Reader, Readers};

/// Room that an answer gets however little is free, bytes; less if it wants less.
const LEAST_BYTES: usize = 64 * 1024;

/// Memory for first batches that are larger than their answer's room, bytes, or half of all if that is less. The largest
/// batch has 16 MiB, and what is made of it may take some more.
const LARGE_BYTES: usize = 24 << 20;

/// What one reader may have of the memory that is for all.
const READER_SHARE: u32 = 4;
/// And of what is free of it.
const READER_SHARE_OF_FREE: usize = 2;

/// What one permit stands for, bytes: 32 bits count all that is ever wanted.
const UNIT_BYTES: usize = 1024;

/// One share of the memory for answers.
#[derive(Clone, Debug)]
pub struct AnswerMemory {
    free: Arc<Semaphore>,
    /// Of `free`, when nothing is taken.
    shared_units: u32,
    /// One place: for a batch that needs room of its own.
    large: Arc<Semaphore>,
    large_units: u32,
    readers: Arc<Readers>,
    patience: Patience,
}

/// A piece of it; given back when dropped.
#[derive(Debug)]
pub struct AnswerRoom {
    permit: OwnedSemaphorePermit,
    /// Of what its reader may have.
    of_reader: Option<OwnedSemaphorePermit>,
    /// For a batch that has room of its own, what that is.
    large_units: Option<u32>,
}

/// Which room is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// As [`AnswerMemory::room`] gives it.
    Offered(Option<&'a Reader>, usize),
    /// As [`AnswerMemory::exactly`] gives it.
    Exactly(usize),
}

impl AnswerMemory {
    /// A share of `limit_bytes`, half of which has to hold the largest batch.
    pub fn new(limit_bytes: usize) -> Self {
        let large_bytes = LARGE_BYTES.min(limit_bytes / 2);
        let shared_units = units(limit_bytes - large_bytes);
        Self {
            free: Arc::new(Semaphore::new(shared_units as usize)),
            shared_units,
            large: Arc::new(Semaphore::new(1)),
            large_units: units(large_bytes),
            readers: Arc::default(),
            patience: Patience::default(),
        }
    }

    /// What one answer may have at most, bytes, a first batch in a room of its own apart.
    pub fn most_bytes(&self) -> usize {
        self.shared_units as usize * UNIT_BYTES
    }

    /// What is wanted; see there. Waits for it.
    pub(super) async fn get(&self, wanted: Wanted<'_>) -> Result<AnswerRoom, ErrorCode> {
        match wanted {
            Wanted::Offered(reader, bytes) => self.room(reader, bytes).await,
            Wanted::Exactly(bytes) => self.exactly(bytes).await,
        }
    }

    /// What is wanted, if it is there at once.
    pub(super) fn try_get(&self, wanted: Wanted<'_>) -> Option<AnswerRoom> {
        match wanted {
            Wanted::Offered(reader, bytes) => self.try_room(reader, bytes),
            Wanted::Exactly(bytes) => self.try_exactly(bytes),
        }
    }

    /// Room for up to `wanted` bytes, as much as a newcomer gets. OVERLOADED if there is none for long.
    pub async fn room(&self, reader: Option<&Reader>, wanted: usize) -> Result<AnswerRoom, ErrorCode> {
        let of_reader = match reader {
            Some(reader) => {
                // It waits for itself alone: until its answers have left, or its connection ends. Nobody is closed for that; but
                // what its request takes up goes.
                let units = self.offered_to(reader, wanted, 0);
                let turn = Arc::clone(reader.share()).acquire_many_owned(self.left_for(reader, units));
                let turn = timeout(self.patience.wait, turn).await.map_err(|_late| ErrorCode::Overloaded)?;
                let mut permit = turn.map_err(|_closed| ErrorCode::ShuttingDown)?;
                // Its answers may have left all at once.
                let units = self.offered_to(reader, wanted, permit.num_permits());
                resize(&mut permit, units);
                Some(permit)
            }
            None => None,
        };
        // Again: meanwhile there may be less.
        let most = of_reader.as_ref().map_or(u32::MAX, |permit| permit.num_permits() as u32);
        let permit = self.take(&self.free, self.offered(wanted).min(most), || None).await?;
        Ok(AnswerRoom { permit, of_reader, large_units: None })
    }

    /// As [`Self::room`], if there is some at once.
    pub fn try_room(&self, reader: Option<&Reader>, wanted: usize) -> Option<AnswerRoom> {
        let units = reader.map_or_else(|| self.offered(wanted), |reader| self.offered_to(reader, wanted, 0));
        let of_reader = match reader {
            Some(reader) => {
                let left = self.left_for(reader, units);
                let mut permit = Arc::clone(reader.share()).try_acquire_many_owned(left).ok()?;
                resize(&mut permit, units);
                Some(permit)
            }
            None => None,
        };
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units).ok()?;
        Some(AnswerRoom { permit, of_reader, large_units: None })
    }

    /// Room for `bytes` in one piece, as for a batch that is larger than what a newcomer gets; less if that is more than
    /// large batches have. Must not be asked for by one that holds room.
    pub async fn exactly(&self, bytes: usize) -> Result<AnswerRoom, ErrorCode> {
        if let Some(room) = self.try_exactly(bytes) {
            return Ok(room);
        }
        let free = || Arc::clone(&self.free).try_acquire_many_owned(units(bytes)).ok();
        let permit = self.take(&self.large, 1, free).await?;
        Ok(self.of(permit))
    }

    /// As [`Self::exactly`], if there is some at once.
    pub fn try_exactly(&self, bytes: usize) -> Option<AnswerRoom> {
        let free = Arc::clone(&self.free).try_acquire_many_owned(units(bytes));
        let permit = free.or_else(|_| Arc::clone(&self.large).try_acquire_owned()).ok()?;
        Some(self.of(permit))
    }

    /// The room of a permit of either kind.
    fn of(&self, permit: OwnedSemaphorePermit) -> AnswerRoom {
        let large_units = Arc::ptr_eq(permit.semaphore(), &self.large).then_some(self.large_units);
        AnswerRoom { permit, of_reader: None, large_units }
    }

    /// A stream that answers will go to; `closer` ends its connection.
    pub fn stream(&self, closer: Closer) -> Arc<Reader> {
        self.readers.stream(closer, self.shared_units / READER_SHARE)
    }

    /// A call that an answer will go to; `closer` ends its connection, of which all calls have one share.
    pub fn call(&self, closer: Closer) -> Arc<Reader> {
        self.readers.call(closer, self.shared_units / READER_SHARE)
    }

    /// Ends the connections that take nothing of their answers: somebody needs memory that they keep.
    pub fn close_stalled(&self) {
        self.readers.close_stalled(self.patience);
    }

    /// As [`Readers::take`] with this memory's patience.
    async fn take(
        &self,
        of: &Arc<Semaphore>,
        wanted: u32,
        instead: impl Fn() -> Option<OwnedSemaphorePermit>,
    ) -> Result<OwnedSemaphorePermit, ErrorCode> {
        self.readers.take(self.patience, of, wanted, instead).await
    }

    fn offered(&self, wanted: usize) -> u32 {
        let quarter = u32::try_from(self.free.available_permits() / 4).unwrap_or(u32::MAX);
        units(wanted).min(quarter.max(units(LEAST_BYTES))).min(self.shared_units)
    }

    /// What the next answer of a reader may get, which holds `mine` for it already.
    fn offered_to(&self, reader: &Reader, wanted: usize, mine: usize) -> u32 {
        let left = self.most_of(reader).saturating_sub(reader.held().saturating_sub(mine));
        let left = u32::try_from(left).unwrap_or(u32::MAX).max(units(LEAST_BYTES));
        self.offered(wanted).min(left).min(reader.share_units())
    }

    /// What must be left of the reader's share for an answer of so many units: with it all of its answers are no more than
    /// they may be.
    fn left_for(&self, reader: &Reader, units: u32) -> u32 {
        let others = u32::try_from(self.most_of(reader)).unwrap_or(u32::MAX).saturating_sub(units);
        reader.share_units() - others.min(reader.share_units() - units)
    }

    /// What all answers of one reader may take up, units.
    fn most_of(&self, reader: &Reader) -> usize {
        (self.free.available_permits() / READER_SHARE_OF_FREE).min(reader.share_units() as usize)
    }
}

impl AnswerRoom {
    /// Bytes that it may hold.
    pub fn bytes(&self) -> usize {
        self.units() as usize * UNIT_BYTES
    }

    fn units(&self) -> u32 {
        self.large_units.unwrap_or(self.permit.num_permits() as u32)
    }

    /// Makes it as large as what was read. False if that is more than it can get at once: then what was read must go.
    pub fn fit(&mut self, bytes: usize) -> bool {
        let wanted = units(bytes);
        if self.large_units.is_some() {
            return wanted <= self.units();
        }
        if !resize(&mut self.permit, wanted) {
            return false;
        }
        // A first batch may pass what is its reader's: it takes what is left of that, and the next answer waits.
        if let Some(of_reader) = &mut self.of_reader
            && !resize(of_reader, wanted)
        {
            let left = of_reader.num_permits() + of_reader.semaphore().available_permits();
            resize(of_reader, u32::try_from(left).unwrap_or(u32::MAX));
        }
        true
    }
}

/// Makes a permit as large as `wanted`. False, and nothing is changed, if there is not so much at once.
fn resize(permit: &mut OwnedSemaphorePermit, wanted: u32) -> bool {
    let (wanted, held) = (wanted as usize, permit.num_permits());
    if wanted <= held {
        drop(permit.split(held - wanted));
        return true;
    }
    let more = u32::try_from(wanted - held).unwrap_or(u32::MAX);
    let more = Arc::clone(permit.semaphore()).try_acquire_many_owned(more);
    more.is_ok_and(|more| {
        permit.merge(more);
        true
    })
}

/// Units that hold so many bytes, one at least: an empty answer costs something too.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
#[path = "answer_memory_tests.rs"]
mod tests;
