//! The writer thread: gathers what waits into one batch, makes it durable, reports it.

use std::{
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
};

use rocksdb::{DB, WriteBatch, WriteOptions};
use tokio::sync::mpsc;

use super::{
    error::Error,
    mark::{Around, Change, Mark},
    schema::{CHUNKS, LOG, SNAPSHOT, SNAPSHOT_META, STATE, VOTE, family},
    told::Told,
};

/// Operations that may wait. Beyond it [`super::Store::submit`] waits.
const QUEUE_OPS: usize = 1_024;
/// Operations in one batch: bounds the memory of the batch and the wait of its first member.
const BATCH_OPS: usize = 256;
/// Bytes of one chunk of a snapshot.
const CHUNK_BYTES: usize = 1 << 20;

/// Called once when the write is durable or has failed.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A write. With `done` it is fsynced; without, it is durable with the next one that is.
pub enum Op {
    /// Appends entries. Their indexes follow each other and the log's end.
    Append {
        /// Index and encoded entry, in the order of the indexes.
        entries: Vec<(u64, Vec<u8>)>,
        /// Called when all of them are durable, or the write has failed.
        done: Done,
    },
    /// Removes every entry at or above `from`.
    Truncate {
        /// First index to go.
        from: u64,
        /// Called when the removal is durable, or has failed.
        done: Done,
    },
    /// Removes every entry at or below `up_to` and stores a value with it, atomically.
    Purge {
        /// Last index to go.
        up_to: u64,
        /// Key of the purge mark.
        key: &'static [u8],
        /// The purge mark, encoded: the last entry that is gone.
        value: Vec<u8>,
        /// Called when removal and mark are durable, or the write has failed.
        done: Done,
    },
    /// Sets one value of the state.
    PutState {
        /// Its key in the column family of single values.
        key: &'static [u8],
        /// What it becomes, as the caller encoded it.
        value: Vec<u8>,
        /// Called when durable; without it the value may be lost in a crash.
        done: Option<Done>,
    },
    /// Makes the mark of what was told, where there is none.
    BeginTold {
        /// What the store holds.
        mark: Mark,
        /// Called when the mark is durable, or has failed.
        done: Done,
    },
    /// Makes the mark durable as it is.
    SettleTold {
        /// Called when it is, or has failed.
        done: Done,
    },
    /// Begins again with a snapshot, a vote and an empty log, all of it or nothing.
    BeginAt {
        /// The snapshot's meta data, as the caller encoded it.
        meta: Vec<u8>,
        /// The image, as the caller encoded it.
        data: bytes::Bytes,
        /// The vote, as the caller encoded it.
        vote: Vec<u8>,
        /// The last index that the snapshot includes; no entry of the log lies above.
        up_to: u64,
        /// Key of the purge mark.
        key: &'static [u8],
        /// The purge mark, encoded: the last entry that is gone.
        value: Vec<u8>,
        /// Keys of states that count no more.
        forget: &'static [&'static [u8]],
        /// Called when all of it is durable, or the write has failed.
        done: Done,
    },
    /// Replaces the snapshot, atomically.
    PutSnapshot {
        /// openraft's meta data, as the caller encoded it.
        meta: Vec<u8>,
        /// The image, as the caller encoded it; stored in chunks of 1 MiB.
        data: bytes::Bytes,
        /// Called when the whole snapshot is durable, or the write has failed.
        done: Done,
    },
}

impl Op {
    /// What it does to what may be told.
    fn change(&self) -> Option<Change> {
        Some(match self {
            Self::Append { entries, .. } => Change::Ends(entries.last()?.0 + 1),
            Self::Truncate { from, .. } => Change::Cut(*from),
            Self::Purge { up_to, .. } => Change::Purged(*up_to),
            Self::BeginAt { up_to, vote, .. } => {
                Change::Begins(Mark { end: up_to.saturating_add(1), vote: vote.clone() })
            }
            Self::PutState { key, value, .. } if *key == VOTE => Change::Voted(value.clone()),
            Self::BeginTold { mark, .. } => Change::BeginsAtOnce(mark.clone()),
            Self::SettleTold { .. } => Change::Settles,
            Self::PutState { .. } | Self::PutSnapshot { .. } => return None,
        })
    }
}

/// Handle of the thread. Dropping it lets the thread finish what waits and joins it.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Op>>,
    thread: Option<JoinHandle<()>>,
    /// The first failure; set once and for all.
    failure: Arc<OnceLock<String>>,
}

impl Writer {
    pub(super) fn start(db: Arc<DB>, told: Told) -> Self {
        let (queue, ops) = mpsc::channel(QUEUE_OPS);
        let failure = Arc::new(OnceLock::new());
        let latch = Arc::clone(&failure);
        let thread = thread::Builder::new()
            .name("raft-store".to_owned())
            .spawn(move || run(&db, told, ops, &latch))
            .expect("the system refuses to start a thread");
        Self { queue: Some(queue), thread: Some(thread), failure }
    }

    pub(super) async fn submit(&self, op: Op) -> Result<(), Error> {
        self.queue().send(op).await.map_err(|_| self.stopped())
    }

    /// For use before the async runtime matters; must not be called on its threads.
    pub(super) fn submit_blocking(&self, mut op: Op) -> Result<(), Error> {
        loop {
            match self.queue().try_send(op) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back)) => {
                    op = back;
                    thread::yield_now();
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(self.stopped()),
            }
        }
    }

    fn queue(&self) -> &mpsc::Sender<Op> {
        self.queue.as_ref().expect("the queue is there until drop")
    }

    fn stopped(&self) -> Error {
        Error::Latched(self.failure.get().cloned().unwrap_or_else(|| "the writer stopped".to_owned()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

fn run(db: &DB, mut told: Told, mut queue: mpsc::Receiver<Op>, failure: &OnceLock<String>) {
    let mut ops = Vec::with_capacity(BATCH_OPS);
    while let Some(first) = queue.blocking_recv() {
        ops.push(first);
        while ops.len() < BATCH_OPS
            && let Ok(op) = queue.try_recv()
        {
            ops.push(op);
        }
        let marks = Around::of(told.now(), ops.iter().filter_map(Op::change));
        let mut batch = WriteBatch::default();
        let mut dones = Vec::new();
        for op in ops.drain(..) {
            add(db, &mut batch, op, &mut dones);
        }
        let result = write(db, batch, !dones.is_empty(), &mut told, marks, failure);
        for done in dones {
            done(result.as_ref().map(|&()| ()).map_err(|message| Error::Latched(message.clone())));
        }
    }
}

fn write(
    db: &DB,
    batch: WriteBatch,
    sync: bool,
    told: &mut Told,
    marks: Around,
    failure: &OnceLock<String>,
) -> Result<(), String> {
    if let Some(message) = failure.get() {
        return Err(message.clone());
    }
    let mut options = WriteOptions::default();
    options.set_sync(sync);
    let lowered = marks.lowered.map_or(Ok(()), |mark| told.set(mark));
    let written =
        lowered.and_then(|()| db.write_opt(batch, &options).map_err(|error| Error::Latched(error.to_string())));
    written.and_then(|()| if marks.settles { told.set(marks.then) } else { told.raise(marks.then) }).map_err(|error| {
        tracing::error!(%error, "writing to the controller's store failed; it takes no more writes");
        failure.get_or_init(|| error.to_string()).clone()
    })
}

fn add(db: &DB, batch: &mut WriteBatch, op: Op, dones: &mut Vec<Done>) {
    let log = family(db, LOG);
    match op {
        Op::Append { entries, done } => {
            for (index, bytes) in entries {
                batch.put_cf(&log, index.to_be_bytes(), bytes);
            }
            dones.push(done);
        }
        Op::Truncate { from, done } => {
            batch.delete_range_cf(&log, from.to_be_bytes(), u64::MAX.to_be_bytes());
            dones.push(done);
        }
        Op::Purge { up_to, key, value, done } => {
            batch.delete_range_cf(&log, 0_u64.to_be_bytes(), up_to.saturating_add(1).to_be_bytes());
            batch.put_cf(&family(db, STATE), key, value);
            dones.push(done);
        }
        Op::PutState { key, value, done } => {
            batch.put_cf(&family(db, STATE), key, value);
            dones.extend(done);
        }
        Op::BeginTold { mark: _, done } | Op::SettleTold { done } => dones.push(done),
        Op::BeginAt { meta, data, vote, up_to: _, key, value, forget, done } => {
            put_snapshot(db, batch, meta, &data);
            batch.delete_range_cf(&log, 0_u64.to_be_bytes(), u64::MAX.to_be_bytes());
            batch.put_cf(&family(db, STATE), key, value);
            batch.put_cf(&family(db, STATE), VOTE, vote);
            for key in forget {
                batch.delete_cf(&family(db, STATE), key);
            }
            dones.push(done);
        }
        Op::PutSnapshot { meta, data, done } => {
            put_snapshot(db, batch, meta, &data);
            dones.push(done);
        }
    }
}

fn put_snapshot(db: &DB, batch: &mut WriteBatch, meta: Vec<u8>, data: &[u8]) {
    let snapshot = family(db, SNAPSHOT);
    batch.delete_range_cf(&snapshot, CHUNKS.start, CHUNKS.end);
    for (number, chunk) in (0_u32..).zip(data.chunks(CHUNK_BYTES)) {
        let mut key = CHUNKS.start.to_vec();
        key.extend_from_slice(&number.to_be_bytes());
        batch.put_cf(&snapshot, key, chunk);
    }
    batch.put_cf(&snapshot, SNAPSHOT_META, meta);
}
