//! The last segment of a log that was not closed in order: telling a torn tail from damage.
//!
//! ```text
//!  | durable, as the mark says | perhaps durable, perhaps not                        |
//!    bad here: damage            cut at the first bad byte; in doubt, unless all that
//!                                was cut is zeros
//! ```
//!
//! Past the mark nothing is damage. After a power loss the pieces of one unsynced round stand there in any combination:
//! zeros or an old tail, and sound batches behind it. But the mark lags, so what is cut there may also have been durable and
//! counted, and have been damaged since. Nothing on this disk tells the two apart: the log goes on, in doubt. Zeros are what
//! a file reads as whose length reached the disk before its bytes did; a batch that had been durable does not become zeros
//! to the end of the file. No checksum of a batch covers its leader epoch, by which elections compare logs: past the mark it
//! is believed as far as the checkpoint of the epochs has it, which is durable before the first batch of an epoch is written.
//! A log that ends below the high watermark that its mark remembers is in doubt too.

use std::sync::Arc;

use holdfast_proto::ids::{LeaderEpoch, Offset, TimestampMs};
use holdfast_replication::{EpochChain, ProducerTable};

use super::{
    doubt,
    on_disk::end_on_disk,
    recovery::{Found, Recovery, damaged, size_of},
    replay::{Walked, producers_before, reindex},
};
use crate::{
    Error,
    checkpoint::StoredEpochs,
    digest::{Border, Comparison},
    mark::Marks,
    read_at::read_at,
    scan::Check,
    segment::{Segment, Tally},
};

impl Recovery<'_> {
    /// The last segment, read through: its torn tail is cut.
    pub(super) fn torn_active(&self, base: Offset, before: &[Arc<Segment>]) -> Result<(Arc<Segment>, Found), Error> {
        let segment = Segment::new(self.folder, self.partition, base);
        let size = size_of(segment.path())?;
        let known = self.marks.filter(|marks| marks.segment == base).map_or(0, |marks| marks.position);
        let file = self.disk.open(segment.path())?;
        self.disk.sync_batches(&file, segment.path())?;
        let on_disk = end_on_disk(self.disk, &file, segment.path(), (known, size))?;

        // None is noted where a log is starting over: what is left of it then is as it was.
        let is_sound = |stored: &&StoredEpochs| stored.is_complete && !stored.chain.is_empty();
        let noted = self.stored.as_ref().filter(is_sound).map(|stored| (known, &stored.chain));
        let mut read = self.read_through(&segment, before, on_disk, noted)?;
        if let Some(Unnoted { position, reason }) = read.unnoted {
            read = self.read_through(&segment, before, position, noted)?;
            read.walked.bad = Some(reason);
        }
        let ReadThrough { mut walked, epochs, producers, .. } = read;
        if on_disk < size {
            walked.bad = Some(format!("from byte {on_disk} on the disk does not hold what was written"));
        }
        if let Some(reason) = self.check_end(&segment, &walked, size)? {
            doubt::add(self.disk, self.folder, reason)?; // before the cut, which leaves nothing to doubt
        }
        let mut tally = walked.tally;
        tally.push_border(&segment);
        let cut_bytes = size - tally.size;
        if cut_bytes > 0 {
            let reason = walked.bad.unwrap_or_default();
            tracing::warn!(segment = %segment.path().display(), offset = %tally.next, cut_bytes, reason, "cut a torn tail");
            self.disk.set_len(&file, segment.path(), tally.size)?;
            self.disk.sync_batches(&file, segment.path())?;
        }
        segment.offsets.store_anew(self.disk)?;
        segment.times.store_anew(self.disk)?;
        segment.was_appended_at(self.last_append(&segment, &tally), self.disk.ages().now());
        Ok((Arc::new(segment), Found { tally, epochs: Some(epochs), producers, cut_bytes }))
    }

    /// Reads the last segment up to this byte, and makes its indexes and digests in memory. `noted` are the byte from which on
    /// nothing but them vouches for the epochs of batches, and the epochs that were noted before these were written.
    fn read_through(
        &self,
        segment: &Segment,
        before: &[Arc<Segment>],
        end: u64,
        noted: Option<(u64, &EpochChain)>,
    ) -> Result<ReadThrough, Error> {
        let mut producers = producers_before(self.folder, &self.listing.snapshots, before, segment.base())?;
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let mut comparison = Comparison::new(self.known_digest(segment.base()));
        let mut unnoted = None;
        let whole = (end, Offset(u64::MAX));
        let walked = reindex(segment, whole, self.config.index_interval_bytes, Check::Crc, |tally, header| {
            comparison.reach(tally.border());
            let position = tally.size - header.size_bytes as u64;
            if let Some((_, chain)) = noted.filter(|(from, _)| unnoted.is_none() && position >= *from)
                && let Some(noted) = chain.epoch_at(header.base_offset) // else it was below the log start
                && noted != header.leader_epoch
            {
                let reason = format!("a batch of leader epoch {} stands where {noted} was noted", header.leader_epoch);
                unnoted = Some(Unnoted { position, reason });
            }
            if epochs.last().is_none_or(|(epoch, _)| *epoch != header.leader_epoch) {
                epochs.push((header.leader_epoch, header.base_offset));
            }
            if header.has_producer() {
                producers.replay(&header.into());
            }
        })?;
        comparison.result(segment.name(), walked.tally.border())?;
        Ok(ReadThrough { walked, epochs, producers, unnoted })
    }

    /// What the mark says of the batches of the last segment that were durable.
    fn known_digest(&self, base: Offset) -> Vec<Border> {
        let border =
            |marks: Marks| marks.digest.map(|digest| Border { position: marks.position, next: marks.flushed, digest });
        self.marks.filter(|marks| marks.segment == base && marks.position > 0).and_then(border).into_iter().collect()
    }

    /// When the segment was last appended to: what the mark says if it covers everything, else nobody knows, for what lies
    /// past it may have come at any time since.
    fn last_append(&self, segment: &Segment, tally: &Tally) -> Option<TimestampMs> {
        let marks = self.marks.filter(|marks| marks.segment == segment.base() && marks.flushed == tally.next);
        marks.and_then(|marks| marks.times).map(|times| times.last_append)
    }

    /// Tells a torn tail from damage, and says why the log may lack records if it may.
    fn check_end(&self, segment: &Segment, walked: &Walked, size: u64) -> Result<Option<String>, Error> {
        let (tally, path) = (&walked.tally, segment.path().display());
        let Some(flushed) = self.marks.map(|marks| marks.flushed) else {
            // How far it was durable is not known: it may be shorter than it was, even if it ends cleanly.
            return match &walked.bad {
                Some(bad) => {
                    let reason = format!("{bad}; the durable mark is lost, so it may have been durable");
                    Err(damaged(segment, tally, reason))
                }
                None => {
                    Ok(Some(format!("the durable mark beside {path} is lost: nothing tells how far the log reached")))
                }
            };
        };
        if tally.next < flushed {
            let bad = walked.bad.as_deref().unwrap_or("the file ends");
            return Err(damaged(segment, tally, format!("{bad}; it was durable up to offset {flushed}")));
        }
        if let Some(bad) = &walked.bad
            && holds_anything(segment, tally.size, size)?
        {
            let (cut_bytes, next, position) = (size - tally.size, tally.next, tally.size);
            return Ok(Some(format!("{cut_bytes} bytes of {path} were cut at offset {next}, byte {position}: {bad}")));
        }
        // A holder of what is acknowledged has it durably: this replica was none, or the end is gone.
        let high_watermark = self.marks.map_or(tally.next, |marks| marks.high_watermark);
        let (next, is_short) = (tally.next, tally.next < high_watermark);
        Ok(is_short
            .then(|| format!("{path} ends at offset {next}, and records up to {high_watermark} were acknowledged")))
    }
}

/// What was read of the last segment.
struct ReadThrough {
    walked: Walked,
    /// The leader epochs of its batches, and where each begins.
    epochs: Vec<(LeaderEpoch, Offset)>,
    producers: ProducerTable,
    unnoted: Option<Unnoted>,
}

/// The first batch past the mark whose leader epoch is not the one that was noted before it was written.
struct Unnoted {
    position: u64,
    reason: String,
}

/// True if any byte of this part of the segment's file is not 0.
fn holds_anything(segment: &Segment, from: u64, to: u64) -> Result<bool, Error> {
    const CHUNK: u64 = 1 << 20;
    let file = segment.file()?;
    let mut bytes = Vec::new();
    let mut at = from;
    while at < to {
        let want = (to - at).min(CHUNK);
        read_at(&file, segment.path(), at, want as usize, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(true);
        }
        at += want;
    }
    Ok(false)
}
