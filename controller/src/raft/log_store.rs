//! openraft's log storage over [`crate::store`].
//!
//! 1. Everything that openraft must find after a crash is fsynced before it is reported: entries through the callback,
//!    the vote and both cuts before the method returns.
//! 2. All writes go through the store's one queue, in the order in which openraft made them.
//! 3. The commit mark is written without waiting; it may be older than what was committed, never newer.

use std::{
    io,
    ops::{Bound, Range, RangeBounds},
    sync::Arc,
};

use openraft::{
    LogState, OptionalSend, RaftLogReader,
    entry::RaftEntry,
    storage::{IOFlushed, RaftLogStorage},
};
use parking_lot::Mutex;

use super::{
    codec::{decode, encode},
    halt::Halt,
    log_cache::LogCache,
    log_sizes::LogSizes,
    types::{Entry, LogId, TypeConfig, Vote},
};
use crate::store::{self, Mark, Op, Store, VOTE, mark::lacks};

pub(super) const COMMITTED: &[u8] = b"committed";
pub(super) const PURGED: &[u8] = b"purged";
/// Bytes of entries that one read for replication returns at most (one entry at least).
const READ_BYTES: usize = 4 << 20;

/// The log of this node. Clones share it.
#[derive(Clone)]
pub struct LogStore {
    store: Store,
    halt: Halt,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    cache: LogCache,
    sizes: LogSizes,
    vote: Option<Vote>,
    purged: Option<LogId>,
}

impl LogStore {
    /// Reads vote, purge mark, and how long each entry is; refuses a store that is behind what was told. Blocks.
    pub fn open(store: Store, halt: Halt) -> io::Result<Self> {
        let stored_vote = store.read_state(VOTE)?;
        let vote = stored_vote.as_deref().map(|bytes| decode("vote", bytes)).transpose()?;
        let purged: Option<LogId> = store.read_state(PURGED)?.map(|bytes| decode("purge mark", &bytes)).transpose()?;
        let ends = [store.last_log()?.map(|(index, _)| index + 1), purged.as_ref().map(|purged| purged.index + 1)];
        let end = ends.into_iter().flatten().max().unwrap_or(0);
        match store.told() {
            Some(told) => check(told, end, vote.as_ref())?,
            None => store.begin_told(Mark { end, vote: stored_vote.unwrap_or_default() })?,
        }
        let mut sizes = LogSizes::default();
        store.log_sizes(|index, bytes| sizes.push(index, bytes))?;
        let shared = Shared { cache: LogCache::default(), sizes, vote, purged };
        Ok(Self { store, halt, shared: Arc::new(Mutex::new(shared)) })
    }

    /// True if it never held an entry: there is none, and none was purged.
    pub(super) fn is_empty(&self) -> bool {
        let shared = self.shared.lock();
        shared.purged.is_none() && shared.sizes.is_empty()
    }

    /// True if it holds entries.
    pub(super) fn has_entries(&self) -> bool {
        !self.shared.lock().sizes.is_empty()
    }

    /// What `look` finds in the sizes of the entries.
    pub(super) fn sizes<T>(&self, look: impl FnOnce(&LogSizes) -> T) -> T {
        look(&self.shared.lock().sizes)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || read(&store)).await.map_err(io::Error::other)?
    }

    async fn read(&self, range: Range<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        // The cache first: what it does not hold is on the disk, and stays there until it is purged.
        let (on_disk, cached) = self.shared.lock().cache.read(range, max_bytes);
        if on_disk.is_empty() {
            return Ok(cached);
        }
        let wanted = on_disk.end - on_disk.start;
        let stored = self.blocking(move |store| Ok(store.read_log(on_disk.start, on_disk.end, max_bytes)?)).await?;
        let stored_count = stored.len();
        let entry = |(index, bytes): (u64, Vec<u8>)| decode(&format!("log entry {index}"), &bytes);
        let decoded = stored.into_iter().map(entry).collect::<io::Result<Vec<Entry>>>();
        let mut entries = self.halt.unless_unknown(decoded)?;
        // A read that its bound cut short is not continued behind the cut; openraft asks again for the rest.
        let cut_short = max_bytes != usize::MAX && (stored_count as u64) < wanted;
        if !cut_short {
            entries.extend(cached);
        }
        Ok(entries)
    }
}

/// Refuses a log that ends before `told`, and a vote that is older than it.
pub(super) fn check(told: &Mark, end: u64, vote: Option<&Vote>) -> io::Result<()> {
    let told_vote = (!told.vote.is_empty()).then(|| decode::<Vote>("vote in the mark", &told.vote)).transpose()?;
    let lacks = lacks((told.end, told_vote.as_ref()), end, vote);
    lacks.map_or(Ok(()), |lacks| Err(store::Error::Behind { lacks }.into()))
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start..end.max(start), usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end.max(start), READ_BYTES).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let (purged, cached) = {
            let shared = self.shared.lock();
            (shared.purged, shared.cache.last().map(RaftEntry::log_id))
        };
        let last = match cached {
            Some(last) => Some(last),
            None => match self.blocking(|store| Ok(store.last_log()?)).await? {
                Some((_, bytes)) => Some(self.halt.unless_unknown(decode::<Entry>("last log entry", &bytes))?.log_id()),
                None => purged,
            },
        };
        Ok(LogState { last_purged_log_id: purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let value = encode(vote)?;
        self.store.write(|done| Op::PutState { key: VOTE, value, done: Some(done) }).await?;
        self.shared.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let value = encode(&committed)?;
        Ok(self.store.submit(Op::PutState { key: COMMITTED, value, done: None }).await?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        match self.blocking(|store| Ok(store.read_state(COMMITTED)?)).await? {
            Some(bytes) => decode("commit mark", &bytes),
            None => Ok(None),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        {
            let mut shared = self.shared.lock();
            for entry in entries {
                let bytes = encode(&entry)?;
                let index = entry.index();
                shared.cache.push(index, entry, bytes.len());
                shared.sizes.push(index, bytes.len());
                encoded.push((index, bytes));
            }
        }
        let end = encoded.last().map_or(0, |(index, _)| index + 1);
        let shared = Arc::clone(&self.shared);
        let done = Box::new(move |result: Result<(), store::Error>| {
            if result.is_ok() {
                shared.lock().cache.durable(end);
            }
            callback.io_completed(result.map_err(io::Error::from));
        });
        Ok(self.store.submit(Op::Append { entries: encoded, done }).await?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |last| last.index + 1);
        self.store.write(|done| Op::Truncate { from, done }).await?;
        let mut shared = self.shared.lock();
        shared.cache.truncate(from);
        shared.sizes.truncate(from);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let (up_to, value) = (log_id.index, encode(&log_id)?);
        self.store.write(|done| Op::Purge { up_to, key: PURGED, value, done }).await?;
        let mut shared = self.shared.lock();
        shared.cache.purge(up_to);
        shared.sizes.purge(up_to);
        shared.purged = Some(log_id);
        Ok(())
    }
}
