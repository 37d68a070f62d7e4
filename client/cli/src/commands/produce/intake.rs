//! What was read and waits to be sent.
//!
//! Place: between the thread that reads and the task that sends.
//!
//! Invariants:
//! 1. It holds at most [`READ_AHEAD_BYTES`] and one chunk: nothing more is read before there is room.
//! 2. Every record of which something was read is given out, or counted as left.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use crate::exit::Result;

/// Bytes that are read ahead of the sending.
const READ_AHEAD_BYTES: usize = 4 << 20;

/// Records of one source, one after another.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Index of the source: the file, or standard input.
    pub(super) source: u32,
    /// Number of the first record in its source, from 1.
    pub(super) first: u64,
    pub(super) records: Vec<Vec<u8>>,
}

/// The records that wait, shared by both sides.
#[derive(Debug, Default)]
pub(super) struct Intake {
    state: Mutex<State>,
    room: Condvar,
    filled: Notify,
    /// Records that the reader has begun and not handed on yet.
    in_hand: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Nothing more is to be read.
    stopped: bool,
    /// Nothing more is given out.
    closed: bool,
    /// How the reading ended, until it is told.
    ended: Option<Result>,
    left: u64,
}

impl Intake {
    /// For the reader: waits until more may be read; false if no more is wanted.
    pub(super) fn wait_for_room(&self) -> bool {
        let full = |state: &mut State| state.bytes >= READ_AHEAD_BYTES && !state.stopped;
        let state = self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// For the reader: a record has begun to come.
    pub(super) fn take_in_hand(&self) {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
    }

    /// For the reader: these records, which it had in hand, are to be sent.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut state = self.lock();
        self.in_hand.fetch_sub(chunk.records.len() as u64, Ordering::Relaxed);
        if state.closed {
            state.left += chunk.records.len() as u64;
            return;
        }
        state.bytes += bytes_of(&chunk);
        state.chunks.push_back(chunk);
        drop(state);
        self.filled.notify_one();
    }

    /// For the reader: the input is over, or cannot be read any further.
    pub(super) fn end(&self, result: Result) {
        self.lock().ended = Some(result);
        self.filled.notify_one();
    }

    /// For the sender: the next records; `None` at the end of the input, or once it was stopped and all are given out.
    pub(super) async fn next(&self) -> Option<Result<Chunk>> {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.lock();
                if let Some(chunk) = state.chunks.pop_front() {
                    state.bytes -= bytes_of(&chunk);
                    self.room.notify_one();
                    return Some(Ok(chunk));
                }
                match state.ended.take() {
                    Some(Err(failure)) => return Some(Err(failure)),
                    Some(Ok(())) => state.closed = true,
                    None => state.closed = state.stopped,
                }
                if state.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Nothing more is to be read; what was read is still given out.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_one();
        self.filled.notify_one();
    }

    /// Nothing more is given out; the number of records that were read, as a whole or in part, and not given out.
    pub(super) fn close(&self) -> u64 {
        let mut state = self.lock();
        (state.stopped, state.closed, state.bytes) = (true, true, 0);
        let waiting: u64 = state.chunks.drain(..).map(|chunk| chunk.records.len() as u64).sum();
        state.left += waiting;
        self.room.notify_one();
        state.left + self.in_hand.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn in_hand(&self) -> u64 {
        self.in_hand.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that the records take up here.
fn bytes_of(chunk: &Chunk) -> usize {
    chunk.records.iter().map(|record| record.capacity() + size_of::<Vec<u8>>()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exit::Failure;

    fn chunk(first: u64, sizes: &[usize]) -> Chunk {
        Chunk { source: 0, first, records: sizes.iter().map(|size| vec![0; *size]).collect() }
    }

    /// As the reader does: begins the records, then hands them on.
    fn push(intake: &Intake, chunk: Chunk) {
        chunk.records.iter().for_each(|_| intake.take_in_hand());
        intake.push(chunk);
    }

    #[tokio::test]
    async fn what_was_read_is_given_out_also_after_a_stop() {
        let intake = Intake::default();
        push(&intake, chunk(1, &[1, 1]));
        intake.stop();
        assert!(!intake.wait_for_room());
        push(&intake, chunk(3, &[1]));
        assert_eq!(intake.next().await.unwrap().unwrap().first, 1);
        assert_eq!(intake.next().await.unwrap().unwrap().first, 3);
        assert!(intake.next().await.is_none());
        push(&intake, chunk(4, &[1, 1]));
        intake.take_in_hand();
        assert_eq!(intake.close(), 3, "what came too late is counted, and what has only begun");
    }

    #[tokio::test]
    async fn an_error_comes_after_what_was_read_before_it() {
        let intake = Intake::default();
        push(&intake, chunk(1, &[1]));
        intake.end(Err(Failure::error("gone")));
        assert!(intake.next().await.unwrap().is_ok());
        assert_eq!(intake.next().await.unwrap().unwrap_err().message, "gone");
    }

    #[tokio::test]
    async fn reading_waits_for_room_in_bytes_however_few_the_records_are() {
        let intake = Arc::new(Intake::default());
        push(&intake, chunk(1, &[READ_AHEAD_BYTES]));
        let reader = Arc::clone(&intake);
        let waiting = tokio::task::spawn_blocking(move || reader.wait_for_room());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        intake.next().await.unwrap().unwrap();
        assert!(waiting.await.unwrap());
    }
}
