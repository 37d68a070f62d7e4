//! Reading a log while it is written.
//!
//! Place: consumers and followers that are behind the tail cache, on any thread. Reads change nothing.
//!
//! Invariants:
//! 1. What is returned is whole batches with offsets without gaps, checked against their CRC unless that is switched off,
//!    and found to be the batches that were appended there: once for each piece of a segment and process (`pieces`).
//! 2. No lock is held during IO, and the writer never waits for a reader.
//! 3. Bytes below the written end that do not make sense are damage, unless a truncation came in between: then the read
//!    is done again.
//! 4. Nothing is read, nor found to be damaged, of another log that stands where this one stood.
//!
//! Failure: [`Error::Damaged`] and IO errors of a read do not latch the disk. The caller decides; another replica may answer.
//!
//! `log_reader` reads; `time` finds an offset by time; `retention` says what may be deleted; `damage` names what is wrong;
//! `pieces` compares with the digests, `scrub` does so with everything, a `scrub_step` at a time; `range`
//! gives digests, for replicas to compare; `binding` makes lost ones again.

mod binding;
mod damage;
mod log_reader;
mod pieces;
mod range;
mod retention;
mod scrub;
mod scrub_step;
mod time;

pub use binding::Binding;
pub use log_reader::LogReader;
pub(crate) use pieces::check_pieces;
pub use range::RangeDigest;
pub use retention::Retention;
pub use scrub_step::Scrubbed;

#[cfg(test)]
mod bad_sector_tests;
#[cfg(test)]
mod closed_tests;
#[cfg(test)]
mod vanished_tests;
