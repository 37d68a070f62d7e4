//! The log of one partition, as its one writer has it.
//!
//! Place: the log writer's threads call it, one at a time; tests and tools may do so themselves. Readers come from
//! [`PartitionLog::reader`].
//!
//! ```text
//!  log start          HW         flushed       written (= LEO)
//!      |---- segment ----|---- segment ----|---- active ----|
//!                                   durable mark ≤ flushed
//! ```
//!
//! Invariants:
//! 1. Offsets follow each other without gaps, over batches and over segments.
//! 2. log start ≤ flushed ≤ written; the durable mark never passes flushed.
//! 3. A segment is durable, with its indexes, and so are its name and the producers and epochs before the next one, when
//!    the first batch of the next one is flushed.
//! 4. A file's name is durable before anything is reported that stands in it.
//!
//! Failure: the first write or fsync that fails latches the disk; every later operation answers with that error. What was
//! not flushed then is in an unknown state, and is looked at again at the next start.
//!
//! - `log`: what the parts share, its ends, flush and close; `append` (with `placed`), `roll`, `cut`: how it grows and shrinks.
//! - `recovery` opens it, over `beginning` (whether it begins where it began), `layout` (a new one), `torn` (the end of the active
//!   segment, as `on_disk` has it), `doubt` (what may be missing), `chain` (leader epochs) and `replay` (producers); `salvage`
//!   opens what is left of a damaged one, over `examine`.
//! - `segment_times`: when closed segments were appended to.

mod append;
mod beginning;
mod bind;
mod chain;
#[cfg(test)]
mod crash_tests;
mod cut;
#[cfg(test)]
mod digest_tests;
mod doubt;
mod examine;
mod layout;
mod log;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod noted_tests;
mod on_disk;
mod placed;
mod recovery;
mod replay;
mod roll;
mod salvage;
mod segment_times;
#[cfg(test)]
mod side_file_tests;
mod torn;

pub use beginning::{MarkedStart, lost_beginning};
pub(crate) use doubt::settle as settle_doubt;
pub use examine::Unreadable;
pub use log::{PartitionLog, Recovered};
pub(crate) use salvage::salvage;
