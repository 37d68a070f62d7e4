//! The last segment of a log that was not closed in order: telling a torn tail from damage.
//!
//! ```text
//!  | durable, as the mark says | perhaps durable, perhaps not |  torn  |
//!    bad here: damage            bad here: torn, unless sound    cut
//!                                batches follow: then damage
//! ```

use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use holdfast_proto::{
    batch::BatchHeader,
    ids::{LeaderEpoch, Offset},
};

use super::{
    recovery::{Found, Recovery, damaged, modified, size_of},
    replay::{Walked, producers_before, reindex},
};
use crate::{
    Error,
    scan::{Check, holds_sound_batch, read_at},
    segment::Segment,
};

impl Recovery<'_> {
    /// The last segment, read through: its torn tail is cut.
    pub(super) fn torn_active(&self, base: Offset, before: &[Arc<Segment>]) -> Result<(Arc<Segment>, Found), Error> {
        let segment = Segment::new(self.folder, base);
        let size = size_of(segment.path())?;
        let known = self.marks.filter(|marks| marks.segment == base).map_or(0, |marks| marks.position);
        let file = self.disk.open(segment.path())?;
        self.disk.sync_batches(&file, segment.path())?;
        fadvise(&file, known, None, Advice::DontNeed)
            .map_err(|error| Error::io("cannot drop the page cache of", segment.path(), error))?;

        let mut producers = producers_before(self.folder, &self.listing.snapshots, before, base)?;
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let whole = (size, Offset(u64::MAX));
        let walked = reindex(&segment, whole, self.config.index_interval_bytes, Check::Crc, |header| {
            if epochs.last().is_none_or(|(epoch, _)| *epoch != header.leader_epoch) {
                epochs.push((header.leader_epoch, header.base_offset));
            }
            if header.has_producer() {
                producers.replay(&header.into());
            }
        })?;
        self.check_end(&segment, &walked, size)?;
        let tally = walked.tally;
        let cut_bytes = size - tally.size;
        if cut_bytes > 0 {
            let reason = walked.bad.unwrap_or_default();
            tracing::warn!(segment = %segment.path().display(), offset = %tally.next, cut_bytes, reason, "cut a torn tail");
            self.disk.set_len(&file, segment.path(), tally.size)?;
            self.disk.sync_batches(&file, segment.path())?;
        }
        segment.offsets.store_anew(self.disk)?;
        segment.times.store_anew(self.disk)?;
        segment.set_last_append(modified(segment.path()));
        Ok((Arc::new(segment), Found { tally, epochs: Some(epochs), producers, cut_bytes }))
    }

    /// Tells a torn tail from damage.
    fn check_end(&self, segment: &Segment, walked: &Walked, size: u64) -> Result<(), Error> {
        let tally = &walked.tally;
        let flushed = self.marks.map(|marks| marks.flushed);
        if let Some(flushed) = flushed
            && tally.next < flushed
        {
            let bad = walked.bad.as_deref().unwrap_or("the file ends");
            return Err(damaged(segment, tally, format!("{bad}; it was durable up to offset {flushed}")));
        }
        let Some(bad) = &walked.bad else { return Ok(()) };
        if flushed.is_none() {
            return Err(damaged(
                segment,
                tally,
                format!("{bad}; the durable mark is lost, so it may have been durable"),
            ));
        }
        let mut rest = Vec::new();
        let file = segment.file()?;
        read_at(&file, segment.path(), tally.size, (size - tally.size) as usize, &mut rest)?;
        let is_later = |offset: Offset| offset > tally.next && i32::try_from(offset.0 - tally.next.0).is_ok();
        let is_followed = match BatchHeader::parse(&rest) {
            // A header that is right tells how much the unfinished write covers. What its records hold is none of our
            // business, they may even be batches; but the very next offset is not among them.
            Ok(header) if header.base_offset == tally.next => {
                holds_sound_batch(&rest, |offset| offset == header.next_offset())
                    || rest.get(header.size_bytes..).is_some_and(|behind| holds_sound_batch(behind, is_later))
            }
            _ => holds_sound_batch(&rest, is_later),
        };
        if is_followed {
            return Err(damaged(segment, tally, format!("{bad}; sound batches follow it")));
        }
        Ok(())
    }
}
