//! The header of a batch that stands in a log, or is to stand there.

use holdfast_proto::{
    batch::{BatchHeader, Error},
    limits::MAX_BATCH_BYTES,
};

/// Reads the header of the batch that begins at the first of `bytes`. A batch larger than any that a log takes is none: no
/// checksum covers its length, and what it says is to be read into memory.
pub(crate) fn parse(bytes: &[u8]) -> Result<BatchHeader, Error> {
    let header = BatchHeader::parse(bytes)?;
    if header.size_bytes > MAX_BATCH_BYTES {
        return Err(Error::TooLarge { size: header.size_bytes, max: MAX_BATCH_BYTES });
    }
    Ok(header)
}
