//! What binds batches to their place: a sum of hashes over partition, offsets, leader epoch and checksum of each batch.
//!
//! Intuition: the CRC of a batch covers its bytes, not where they belong. A whole batch of another partition, copied into a
//! segment by a disk or a hand, has a right CRC. So while batches are appended their hashes are summed up in memory, and the
//! sum is kept at borders some 64 KiB apart: what is read later has to give the same differences. Sums depend neither on the
//! order of work nor on where segments end, so replicas can compare any range of batches.
//!
//! Place: the log adds what it appends; reads, scrub and recovery compare. The sum up to the durable end stands in the
//! durable mark, the borders of a closed segment in a file beside it.
//!
//! Invariants:
//! 1. Borders come from what was appended or copied, in memory. Only past the durable mark, and where a segment is read
//!    through because the mark or its indexes are lost, they are made from what the disk holds; these find later changes alone.
//!    Closed segments of an earlier program, or without their side file, have none: their CRCs count, until the scrub has made
//!    them from what the disk holds.
//! 2. A side file that is damaged, lost, or of another segment harms nothing: nothing is believed of it. One that the disk
//!    does not read now is asked for again, and made again by the scrub.
//! 3. Memory is bounded: pieces grow with the segment, so that 1 GiB has some 1,300 borders of 24 bytes, and those of closed
//!    segments are read from the side file each time. What was compared is kept in a few spans.
//!
//! Modules: `sum` (the hash) · `pieces` (borders, pure) · `checked` (what was compared, pure) · `comparison` (of a walk with
//! borders, pure) · `side_file` (their file) · `digests` (those of one segment).

mod checked;
mod comparison;
mod digests;
mod pieces;
mod side_file;
mod sum;

pub(crate) use comparison::Comparison;
pub(crate) use digests::Digests;
pub(crate) use pieces::{Border, Pieces, is_border_due};
pub use sum::Digest;
