//! The codecs, each one as Kafka's Java client reads and writes it.
//!
//! Invariant: decompression gives an error before its output takes more than the limit.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::io::{self, Read};

use super::{Compression, Error};

/// First guess at how much larger data is when decompressed.
const EXPECTED_RATIO: usize = 4;

/// Why a codec failed, before it is known which one.
enum Failure {
    /// The data is damaged, or the codec refused it.
    Malformed(String),
    /// The output is larger than the limit.
    TooLarge,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Appends `records` to `out`, compressed.
pub(super) fn compress(compression: Compression, records: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let result = match compression {
        Compression::None => {
            out.extend_from_slice(records);
            Ok(())
        }
        Compression::Gzip => gzip::compress(records, out),
        Compression::Snappy => snappy::compress(records, out),
        Compression::Lz4 => lz4::compress(records, out),
        Compression::Zstd => zstd::compress(records, out),
    };
    result.map_err(|error| Error::Compress { compression, reason: error.to_string() })
}

/// The decompressed `data`, at most `max` bytes.
pub(super) fn decompress(compression: Compression, data: &[u8], max: usize) -> Result<Vec<u8>, Error> {
    let result = match compression {
        Compression::None if data.len() > max => Err(Failure::TooLarge),
        Compression::None => Ok(data.to_vec()),
        Compression::Gzip => gzip::decompress(data, max),
        Compression::Snappy => snappy::decompress(data, max),
        Compression::Lz4 => lz4::decompress(data, max),
        Compression::Zstd => zstd::decompress(data, max),
    };
    result.map_err(|failure| match failure {
        Failure::Malformed(reason) => Error::Decompress { compression, reason },
        Failure::TooLarge => Error::DecompressedTooLarge { max },
    })
}

/// All that `reader` gives, as long as it is at most `max` bytes. `compressed` is the size of what it reads from.
fn read_bounded(mut reader: impl Read, compressed: usize, max: usize) -> Result<Vec<u8>, Failure> {
    // One byte more than allowed is room enough to see that there is too much.
    let most = max.saturating_add(1);
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        if filled == out.len() {
            let larger = (filled * 2).max(compressed.saturating_mul(EXPECTED_RATIO)).max(1024).min(most);
            out.reserve_exact(larger - filled);
            out.resize(larger, 0);
        }
        match reader.read(&mut out[filled..]) {
            Ok(0) => {
                out.truncate(filled);
                return Ok(out);
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if filled > max {
            return Err(Failure::TooLarge);
        }
    }
}
