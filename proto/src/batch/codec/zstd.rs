//! Zstandard (KIP-110).

use std::io;

use zstd::{DEFAULT_COMPRESSION_LEVEL, stream::read::Decoder, zstd_safe};

use super::{Failure, read_bounded};

/// Largest window that is accepted, as a power of two: 8 MiB, what every decoder should support (RFC 8878, 3.1.1.1.2)
/// and all that levels up to 19 use. The decoder reserves the window before it gives any output.
const WINDOW_LOG_MAX: u32 = 23;

pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(records.len()), 0);
    let written = zstd::bulk::compress_to_buffer(records, &mut out[start..], DEFAULT_COMPRESSION_LEVEL)?;
    out.truncate(start + written);
    Ok(())
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder::with_buffer(data)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    read_bounded(decoder, data.len(), max)
}
