//! Batches that are being appended: where each lies in the bytes that were given.

use bytes::Bytes;

use holdfast_proto::batch::{self, BatchHeader};

use crate::{Error, header::parse as parse_header};

/// A batch that is being appended: its header, and which of the given bytes hold it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    /// Index of the bytes.
    pub(super) part: usize,
    /// Where in them it begins.
    pub(super) at: usize,
}

/// Finds the batches in each of the given bytes.
pub(super) fn parse(records: &[Bytes], placed: &mut Vec<Placed>) -> Result<(), Error> {
    for (part, bytes) in records.iter().enumerate() {
        let mut at = 0;
        while at < bytes.len() {
            let header = parse_header(&bytes[at..])?;
            let have = bytes.len() - at;
            if header.size_bytes > have {
                return Err(batch::Error::Truncated { needed: header.size_bytes, have }.into());
            }
            placed.push(Placed { header, part, at });
            at += header.size_bytes;
        }
    }
    Ok(())
}
