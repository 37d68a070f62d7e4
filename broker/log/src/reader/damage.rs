//! The error of bytes that make no sense.

use holdfast_proto::ids::Offset;

use crate::{Error, segment::Segment};

/// Bytes of this segment, which should hold the batch `at`, make no sense.
pub(super) fn damaged(segment: &Segment, at: Offset, position: u64, reason: String) -> Error {
    Error::Damaged { path: segment.path().to_owned(), at, position, reason }
}
