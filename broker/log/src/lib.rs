//! The log of a broker: segments, indexes, recovery, group commit, and the data folder that holds them.
//!
//! Place: the broker's shell opens a [`DataDir`], opens its partitions ([`PartitionLog`], [`Recovered`]), gives each log to
//! the [`LogWriter`] and submits what the replication core decides as [`Op`]s; durability comes back as [`Completion`]s.
//! Reads go past all that, through a [`LogReader`], on any thread. There is no async and no network here.
//!
//! ```text
//!  <data>/partitions/<topic id>-<partition>/
//!      00000000000000000000.log         batches, byte for byte as they travelled      |
//!      00000000000000000000.index       last offset -> position                       | Kafka's layout
//!      00000000000000000000.timeindex   largest time so far -> offset                 |
//!      00000000000000000000.digest      sums of hashes of the batches at their place
//!      leader-epoch-checkpoint          leader epochs and where they start            |
//!      00000000000000004711.snapshot    producers of everything before offset 4711
//!      segment-times                    when the closed segments were appended to
//!      durable-mark                     how far it is durable; log start; high watermark; times and digest of the active
//!                                       segment; leader epochs that the checkpoint lacks
//!      doubt                            why it may lack records that were counted; absent as a rule
//!      set-aside                        where its files were set aside, while the last resort cuts it; absent as a rule
//!      partition.metadata               whose log it is
//! ```
//!
//! Invariants of the crate:
//! 1. [`Completion::Flushed`] is told after the fsync that covers it, of the data and of every name on the way to it.
//! 2. Bytes that were durable are never cut by recovery: if they are bad, the log is [`Error::Damaged`] and left alone.
//! 3. A failed write or fsync is final for the data folder; nothing is retried.
//! 4. Memory is small: of indexes at most 512 entries each are held, and only segments that are written are open.
//!
//! Modules: `data_dir` (the folder and its owner) · `partition` (one log: append, roll, cut, recovery) · `segment`, `index`,
//! `scan`, `header`, `read_at`, `hints` (one segment) · `digest` (batches at their place) · `mark`, `noted`, `checkpoint`, `snapshot` (small
//! files) ·
//! `reader` · `writer` (threads and group commit) · `age_clock`, `clocks` (how long ago appends were) · `disk` (the door to the
//! disk) · `shared` (what writer and readers share).

mod age_clock;
mod checkpoint;
mod clocks;
mod config;
mod data_dir;
mod digest;
mod disk;
mod error;
mod files;
mod header;
mod hints;
mod index;
mod mark;
mod noted;
mod partition;
mod read_at;
mod reader;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod writer;

pub use age_clock::{AgeClock, Counted, Look};
pub use clocks::{Ages, look, steady, wall_clock};
pub use config::{FlushTiming, LogConfig, WriterConfig};
pub use data_dir::{
    Aside, AsideWorth, Cause, ClockLook, DataDir, Distrust, KeepAside, KeptJump, ListState, Reach, ReplicaOnDisk,
    ScrubPosition, Space, Standing, Tokens, asides_due,
};
pub use digest::Digest;
pub use disk::{Disk, DiskStats};
pub use error::Error;
pub use files::{readable_end, segment_of};
pub use partition::{MarkedStart, PartitionLog, Recovered, Unreadable, lost_beginning};
pub use reader::{Binding, LogReader, RangeDigest, Retention, Scrubbed};
pub use writer::{Completion, LogHandle, LogWriter, Notify, Op, Room};

#[cfg(test)]
mod test_support;
