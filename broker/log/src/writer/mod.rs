//! The log writer: threads that write and fsync for many partitions.
//!
//! Place: the broker's partitions submit operations with a [`LogHandle`] and hear of [`Completion`]s by a callback on a
//! thread of the writer. One writer serves one data folder.
//!
//! Intuition: an fsync costs the same for one batch as for a hundred. While a partition's fsync runs, its further appends
//! wait; the thread then writes all of them at once and makes them durable with one fsync. The fsyncs of different
//! partitions run on different threads at the same time, so that the file system's journal commits them together.
//!
//! Invariants:
//! 1. Operations of one partition run in order, on one thread at a time.
//! 2. What waits is bounded in bytes; a place is reserved before the core decides, so that nothing decided is refused.
//! 3. A thread without work sleeps without end: an idle broker is not woken.
//! 4. After a failed write or fsync nothing more is written, and every partition is told, once. That handles or memory are
//!    wanting is no such failure: the partition's operations wait, in order, until they can be done.
//!
//! Failure: see [`Completion::Failed`]. A broken invariant of the caller (offsets that do not go on) ends the process.
//!
//! - `log_writer`: the threads and the handles; `op`: what goes in and comes back; `room`: bytes in flight.
//! - `slot`: what waits for one partition; `pool`: which partition is next; `round`: one write and one fsync; `timer`: flushes
//!   and marks that become due; `waiting`: what cannot be done for want of handles.

mod log_writer;
mod op;
mod pool;
mod room;
mod round;
mod slot;
mod timer;
mod waiting;

pub use log_writer::{LogHandle, LogWriter};
pub use op::{Completion, Notify, Op};
pub use room::Room;
