//! The log writer: threads that write and fsync for many partitions.

mod op;

use std::sync::Arc;

pub use op::{Completion, Op};

use crate::{Disk, Error, PartitionLog, WriterConfig};

/// Called with each completion of one partition, on a thread of the writer; must not block.
pub type Notify = Arc<dyn Fn(Completion) + Send + Sync>;

/// The threads that write and fsync for all partitions of one data folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogWriter {}

impl LogWriter {
    /// Starts the threads.
    pub fn start(_disk: Arc<Disk>, _config: WriterConfig) -> Result<Self, Error> {
        Err(Error::Closed)
    }

    /// Takes over a log; its completions go to `notify`.
    pub fn register(&self, _log: PartitionLog, _notify: Notify) -> Result<LogHandle, Error> {
        Err(Error::Closed)
    }

    /// Reserves place for `bytes` of batches, before the core decides on them. `Overloaded` if too much waits.
    pub fn reserve(&self, _bytes: usize) -> Result<Room, Error> {
        Err(Error::Closed)
    }

    /// Reserves place whether there is room or not: for what a follower fetched, which is bounded by its fetch.
    pub fn reserve_always(&self, _bytes: usize) -> Room {
        Room {}
    }

    /// Bytes that wait for the disk.
    pub fn in_flight_bytes(&self) -> usize {
        0
    }

    /// The first storage error, if there was one.
    pub fn failure(&self) -> Option<Error> {
        None
    }

    /// Runs what was submitted, then ends the threads. Close the logs before.
    pub fn shutdown(&self) {}
}

/// A log that the writer works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle {}

impl LogHandle {
    /// Takes an operation. Fails only if the log is closed or failed; a failure also comes as a completion.
    pub fn submit(&self, _op: Op) -> Result<(), Error> {
        Err(Error::Closed)
    }
}

/// A place among the bytes in flight; given back when dropped.
#[derive(Debug)]
pub struct Room {}
