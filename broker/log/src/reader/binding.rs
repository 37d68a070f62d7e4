//! Binding the batches of a closed segment again whose digests are lost: its side file is gone, changed, or cannot be read.
//!
//! The segment is read through, a step at a time, each batch with its CRC and its place after the one before, and borders are
//! made as they are when batches are appended. They are not what was appended but what the disk holds by now: they find what
//! changes later, and let the segment be compared with those of other replicas, which finds what changed before.
//!
//! Only the log's writer stores them ([`PartitionLog::bind`](crate::PartitionLog::bind)), and only if the segment is still the
//! one that was read, and nothing binds it yet.

use std::sync::Arc;

use holdfast_proto::ids::Offset;

use super::{damage::damaged, log_reader::LogReader};
use crate::{
    Error,
    digest::{Border, Digest, Pieces, is_border_due},
    scan::{Check, Scan, Step},
    segment::Segment,
};

/// What was read so far of one segment. See the module.
#[derive(Clone, Debug)]
pub struct Binding {
    segment: Arc<Segment>,
    /// Where the next step goes on.
    at: Border,
    /// Bytes since the last border.
    since: u64,
    pieces: Pieces,
    is_whole: bool,
}

impl Binding {
    fn new(segment: &Arc<Segment>) -> Self {
        let at = Border { position: 0, next: segment.base(), digest: Digest::default() };
        Self { segment: Arc::clone(segment), at, since: 0, pieces: Pieces::new(segment.base()), is_whole: false }
    }

    /// First offset of the segment.
    pub fn base(&self) -> Offset {
        self.segment.base()
    }

    /// The offset after the segment.
    pub fn next(&self) -> Offset {
        self.segment.next()
    }

    /// True once all of it was read.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Bytes that were read so far.
    pub const fn bytes(&self) -> u64 {
        self.at.position
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    fn step(&self, max_bytes: u64) -> Result<Self, Error> {
        let mut read = self.clone();
        let segment = &*self.segment;
        let file = segment.file()?;
        let first = self.at.position;
        let mut scan = Scan::new(&file, segment.path(), (first, segment.size()), Some(self.at.next), Check::Crc);
        while read.at.position - first < max_bytes {
            match scan.step()? {
                Step::Batch { position, header } => {
                    if is_border_due(read.at.position, read.since) {
                        read.pieces.push(read.at);
                        read.since = 0;
                    }
                    let size = header.size_bytes as u64;
                    let digest = read.at.digest.plus(segment.digests.of(&header));
                    read.at = Border { position: position + size, next: header.next_offset(), digest };
                    read.since += size;
                }
                Step::Bad { position, reason } => return Err(damaged(segment, read.at.next, position, reason)),
                Step::End if read.at.next != segment.next() => {
                    let (next, end) = (read.at.next, segment.next());
                    let reason = format!("the last batch ends before offset {next}, the segment before {end}");
                    return Err(damaged(segment, next, read.at.position, reason));
                }
                Step::End => {
                    read.pieces.push(read.at);
                    read.is_whole = true;
                    break;
                }
            }
        }
        Ok(read)
    }
}

impl LogReader {
    /// The first closed segment from the one that holds `from` on whose batches nothing binds now; on a thread that may block.
    pub fn unbound(&self, from: Offset) -> Result<Option<Binding>, Error> {
        self.undisturbed(|log_start, _| {
            let segments = self.shared().segments();
            let closed = &segments[..segments.len() - 1];
            for segment in closed.iter().filter(|segment| segment.next() > from.max(log_start)) {
                let is_unbound = segment.digests.look(|| (segment.size(), segment.next()))?.is_empty();
                if is_unbound {
                    return Ok(Some(Binding::new(segment)));
                }
            }
            Ok(None)
        })
    }

    /// Goes on with a segment for `max_bytes` or a little more; on a thread that may block. To be given to
    /// [`crate::Op::Bind`] once it [is whole](Binding::is_whole).
    ///
    /// [`Error::Damaged`]: what stands there are no whole batches, one after the other.
    pub fn go_on_binding(&self, binding: &Binding, max_bytes: u64) -> Result<Binding, Error> {
        self.undisturbed(|_, _| {
            let is_held = self.shared().segments().iter().any(|segment| Arc::ptr_eq(segment, &binding.segment));
            // It was cut meanwhile, or retention took it: what was read of it goes nowhere.
            if is_held { binding.step(max_bytes) } else { Ok(Binding { is_whole: true, ..binding.clone() }) }
        })
    }
}

#[cfg(test)]
#[path = "binding_tests.rs"]
mod tests;
