//! The threads and the handles: where operations come in.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    op::{Notify, Op},
    pool::Pool,
    room::Room,
    round::OpenLog,
    slot::Slot,
};
use crate::{Disk, Error, LogReader, PartitionLog, WriterConfig};

/// The threads that write and fsync for all partitions of one data folder. Cheap to clone.
#[derive(Clone)]
pub struct LogWriter {
    owner: Arc<Owner>,
}

/// Ends the threads with the last clone of the writer.
struct Owner {
    pool: Arc<Pool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.pool.stop(); // not joined: this may be one of the threads
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").field("config", &self.owner.pool.config).finish_non_exhaustive()
    }
}

impl LogWriter {
    /// Starts the writing threads and a timer. Fails if a setting is out of range or a thread cannot be started.
    pub fn start(disk: Arc<Disk>, config: WriterConfig) -> Result<Self, Error> {
        config.validate()?;
        let pool = Pool::new(disk, config);
        let owner = Arc::new(Owner { pool: Arc::clone(&pool), threads: Mutex::default() });
        let spawn = |name: String, run: Box<dyn FnOnce(&Pool) + Send>| {
            let pool = Arc::clone(&pool);
            let thread = thread::Builder::new().name(name).spawn(move || run(&pool));
            thread.map_err(|error| {
                Error::io("cannot start a thread of the log writer for", "this process".as_ref(), error)
            })
        };
        let mut threads = Vec::with_capacity(config.threads + 1);
        for number in 0..config.threads {
            threads.push(spawn(format!("log-writer-{number}"), Box::new(Pool::work))?);
        }
        let timer = |pool: &Pool| {
            pool.timer.run(|slot| {
                if slot.wake() {
                    pool.schedule(slot);
                }
            });
        };
        threads.push(spawn("log-timer".to_owned(), Box::new(timer))?);
        *owner.threads.lock() = threads;
        Ok(Self { owner })
    }

    /// Takes over a log; its completions go to `notify`. Fails if the data folder has failed.
    pub fn register(&self, log: PartitionLog, notify: Notify) -> Result<LogHandle, Error> {
        let pool = &self.owner.pool;
        let slot = Slot::new(OpenLog::new(log, Duration::from_millis(pool.config.mark_interval_ms)), notify);
        pool.add(&slot);
        // Looked at after it was added: a failure before is seen here, one after is told.
        pool.disk.check()?;
        Ok(LogHandle { slot, pool: Arc::clone(pool) })
    }

    /// Reserves place for `bytes` of batches, before the core decides on them. [`Error::Overloaded`] if too much waits.
    pub fn reserve(&self, bytes: usize) -> Result<Room, Error> {
        self.owner.pool.budget.reserve(bytes)
    }

    /// Reserves place for what a follower fetched; not ready as long as too much waits for the disk. Who polls this reads
    /// nothing more from a leader before it is ready.
    pub fn poll_fetched_room(&self, context: &Context<'_>, bytes: usize) -> Poll<Room> {
        self.owner.pool.fetched.poll(context, bytes)
    }

    /// Bytes that wait for the disk, produced and fetched, and some overhead.
    pub fn in_flight_bytes(&self) -> usize {
        self.owner.pool.budget.in_flight() + self.owner.pool.fetched.in_flight()
    }

    /// The first storage error, if there was one.
    pub fn failure(&self) -> Option<Error> {
        self.owner.pool.disk.failure()
    }

    /// Does what was submitted, then ends the threads and waits for them. Submit [`Op::Close`] to the logs before.
    ///
    /// Not to be called in a completion.
    pub fn shutdown(&self) {
        self.owner.pool.stop();
        for thread in std::mem::take(&mut *self.owner.threads.lock()) {
            assert!(thread.join().is_ok(), "a thread of the log writer panicked");
        }
    }
}

/// A log that the writer works on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle {
    slot: Arc<Slot>,
    pool: Arc<Pool>,
}

impl LogHandle {
    /// Takes an operation. Fails only if the log is closed or failed; a failure also comes as a completion.
    pub fn submit(&self, op: Op) -> Result<(), Error> {
        if self.slot.push(op)? {
            self.pool.schedule(Arc::clone(&self.slot));
        }
        Ok(())
    }

    /// A reader of the log.
    pub fn reader(&self) -> LogReader {
        self.slot.reader().clone()
    }
}

#[cfg(test)]
#[path = "log_writer_tests.rs"]
mod tests;
