//! Opening, the marker, and reads. Reads may block on the disk: call them off the async threads.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBRecoveryMode, IteratorMode, Options, ReadOptions,
};

use super::{
    error::Error,
    mark::Mark,
    schema::{CHUNKS, LOG, MARKER, Marker, Origin, SNAPSHOT, SNAPSHOT_META, STATE, decode, encode, family, index_of},
    told::{Durable, Told},
    writer::{Op, Writer},
};

/// A stored snapshot, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// openraft's meta data, as the caller encoded it.
    pub meta: Vec<u8>,
    /// The image, as the caller encoded it: all chunks in one piece.
    pub data: Vec<u8>,
}

/// The store. Cheap to clone; the last clone to go stops the writer.
#[derive(Clone)]
pub struct Store {
    db: Arc<DB>,
    path: Arc<PathBuf>,
    found: Option<Arc<Mark>>,
    found_generation: u64,
    durable: Arc<Durable>,
    writer: Arc<Writer>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

impl Store {
    /// Opens the database in `path` and starts the writer; makes it only if `origin` allows that. Blocks.
    pub fn open(path: &Path, marker: &Marker, origin: Origin, told: Told) -> Result<Self, Error> {
        let cache = Cache::new_lru_cache(2 << 20);
        let families = [LOG, STATE, SNAPSHOT].map(|name| ColumnFamilyDescriptor::new(name, family_options(&cache)));
        let db = DB::open_cf_descriptors(&db_options(origin), path, families)
            .map_err(|source| Error::rocks_db(path, source))?;
        let db = Arc::new(db);
        let (found, found_generation) = (told.found().cloned().map(Arc::new), told.generation());
        let durable = told.durable();
        let writer = Arc::new(Writer::start(Arc::clone(&db), told));
        let store = Self { writer, db, path: Arc::new(path.to_owned()), found, found_generation, durable };
        store.check_marker(marker, origin)?;
        Ok(store)
    }

    /// Queues a write. Waits while the queue is full.
    pub async fn submit(&self, op: Op) -> Result<(), Error> {
        self.writer.submit(op).await
    }

    /// Queues a write that carries a [`super::Done`] made here, and waits until it is durable.
    pub async fn write(&self, op: impl FnOnce(super::Done) -> Op) -> Result<(), Error> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let done: super::Done = Box::new(move |result| {
            // The waiter may have given up; nobody else needs the answer.
            let _ = tx.send(result);
        });
        self.submit(op(done)).await?;
        rx.await.unwrap_or_else(|_| Err(Error::Latched("the writer stopped".to_owned())))
    }

    /// Entries with `from <= index < to`, in order, until `max_bytes` are exceeded (one entry at least).
    pub fn read_log(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from.to_be_bytes().to_vec());
        options.set_iterate_upper_bound(to.to_be_bytes().to_vec());
        let mut entries = Vec::new();
        let mut bytes = 0;
        for item in self.db.iterator_cf_opt(&family(&self.db, LOG), options, IteratorMode::Start) {
            let (key, value) = item.map_err(|source| self.failed(source))?;
            bytes += value.len();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push((index_of(&key)?, value.into_vec()));
        }
        Ok(entries)
    }

    /// Tells index and number of bytes of each entry, in order. Reads the whole log: for the start.
    pub fn log_sizes(&self, mut tell: impl FnMut(u64, usize)) -> Result<(), Error> {
        for item in self.db.iterator_cf(&family(&self.db, LOG), IteratorMode::Start) {
            let (key, value) = item.map_err(|source| self.failed(source))?;
            tell(index_of(&key)?, value.len());
        }
        Ok(())
    }

    /// The entry with the highest index, as index and bytes; `None` if the log is empty.
    pub fn last_log(&self) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let mut items = self.db.iterator_cf(&family(&self.db, LOG), IteratorMode::End);
        let Some(item) = items.next() else { return Ok(None) };
        let (key, value) = item.map_err(|source| self.failed(source))?;
        Ok(Some((index_of(&key)?, value.into_vec())))
    }

    /// One value of the state.
    pub fn read_state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(&family(&self.db, STATE), key).map_err(|source| self.failed(source))
    }

    /// The snapshot, if one was stored; also while another one takes its place.
    pub fn read_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let family = family(&self.db, SNAPSHOT);
        // One state of the database for all reads: the chunks are those of the meta data.
        let state = self.db.snapshot();
        let Some(meta) = state.get_cf(&family, SNAPSHOT_META).map_err(|source| self.failed(source))? else {
            return Ok(None);
        };
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(CHUNKS.start);
        options.set_iterate_upper_bound(CHUNKS.end);
        let mut data = Vec::new();
        for item in state.iterator_cf_opt(&family, options, IteratorMode::Start) {
            let (_, chunk) = item.map_err(|source| self.failed(source))?;
            data.extend_from_slice(&chunk);
        }
        Ok(Some(Snapshot { meta, data }))
    }

    fn check_marker(&self, marker: &Marker, origin: Origin) -> Result<(), Error> {
        match self.read_state(MARKER)? {
            None if origin == Origin::Made => {
                Err(Error::Damaged("the mark of whose store it is is missing".to_owned()))
            }
            None => self.write_blocking(|done| Op::PutState { key: MARKER, value: encode(marker), done: Some(done) }),
            Some(bytes) => {
                let found = decode(&bytes)?;
                if found == *marker {
                    Ok(())
                } else {
                    Err(Error::OtherNode { found: format!("{found:?}"), expected: format!("{marker:?}") })
                }
            }
        }
    }

    /// What was told before this start; `None` if nothing is known of it.
    pub fn told(&self) -> Option<&Mark> {
        self.found.as_deref()
    }

    /// Makes the mark, as nothing was known of it, for a store that holds this. Blocks.
    pub fn begin_told(&self, mark: Mark) -> Result<(), Error> {
        self.write_blocking(|done| Op::BeginTold { mark, done })
    }

    /// Generation of the mark as it was found: nothing that was told before this start has a higher one.
    pub const fn found_generation(&self) -> u64 {
        self.found_generation
    }

    /// Generation of the mark as far as it is durable; 0 before it was written in this start.
    pub fn generation(&self) -> u64 {
        self.durable.generation()
    }

    /// True if the mark is to be settled.
    pub fn is_ahead_of_generation(&self) -> bool {
        self.durable.is_behind()
    }

    /// As [`Self::write`], for before the async runtime matters. Blocks.
    pub fn write_blocking(&self, op: impl FnOnce(super::Done) -> Op) -> Result<(), Error> {
        let (tx, rx) = std::sync::mpsc::channel();
        self.writer.submit_blocking(op(Box::new(move |result| {
            let _ = tx.send(result);
        })))?;
        rx.recv().map_err(|_| Error::Latched("the writer stopped".to_owned()))?
    }

    fn failed(&self, source: rocksdb::Error) -> Error {
        Error::rocks_db(&self.path, source)
    }
}

/// Small everywhere: the metadata is some megabytes. Of the 47 MB that an idle controller has, 18 are pages of the program
/// and 19 the tables that openraft's statistics make at its start (`base2histogram`, for all scales); this store and all
/// else share the other ten.
fn db_options(origin: Origin) -> Options {
    let mut options = Options::default();
    // RocksDB takes a folder without its file CURRENT for one that holds nothing, whatever else is in it.
    options.create_if_missing(origin == Origin::New);
    options.create_missing_column_families(origin == Origin::New);
    options.set_paranoid_checks(true);
    // The default mode would silently drop what follows a damaged record: acknowledged log entries, or a vote.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_background_jobs(2);
    options.set_db_write_buffer_size(4 << 20);
    options.set_max_total_wal_size(16 << 20);
    options.set_max_open_files(64);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options
}

fn family_options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(2 << 20);
    options.set_max_write_buffer_number(2);
    options
}
