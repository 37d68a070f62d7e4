//! Reading everything again, a piece at a time: finds what no reader has met.
//!
//! No lock is held during IO, and a step that meets retention, a truncation or a roll goes by what is there then.

use holdfast_proto::ids::Offset;

use super::{
    log_reader::LogReader,
    scrub_step::{Scrubbed, step},
};
use crate::Error;

impl LogReader {
    /// Reads pieces from `from` on until they are `max_bytes` or more, but of one segment, and checks them: one step of a
    /// scrub, on a thread that may block. Begin with offset 0; below the log start it begins there.
    ///
    /// [`Error::Damaged`]: what stands there is not what was appended.
    pub fn scrub(&self, from: Offset, max_bytes: u64) -> Result<Scrubbed, Error> {
        self.undisturbed(|log_start, _| step(self.shared(), from.max(log_start), max_bytes))
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
