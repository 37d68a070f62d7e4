//! Storing the digests of a closed segment that were lost and made again.

use std::sync::Arc;

use super::log::PartitionLog;
use crate::{Binding, Error};

impl PartitionLog {
    /// Binds the batches of a closed segment by what was read of it, durably. Nothing is done if the segment is another by now
    /// (it was cut, or retention took it), or if something binds it again.
    pub fn bind(&mut self, binding: &Binding) -> Result<(), Error> {
        self.disk.check()?;
        let segments = self.shared.segments();
        let closed = &segments[..segments.len() - 1];
        let segment = closed.iter().find(|segment| Arc::ptr_eq(segment, binding.segment()));
        let Some(segment) = segment.filter(|_| binding.is_whole()) else { return Ok(()) };
        let is_bound = segment.digests.bind(&self.disk, binding.pieces(), (segment.size(), segment.next()))?;
        if is_bound {
            tracing::warn!(segment = %segment.path().display(), "the digests of a segment were lost, and are made again");
        }
        Ok(())
    }
}
