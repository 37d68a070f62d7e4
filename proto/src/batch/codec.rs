//! The codecs, each one as Kafka's Java client reads and writes it.
//!
//! Invariant: decompression gives an error before its output takes more than the limit.

use std::io::{self, Read, Write};

use flate2::bufread::{GzEncoder, MultiGzDecoder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use snap::raw;
use zstd::{stream::read::Decoder, zstd_safe};

use super::{Compression, Error};

/// What snappy data in Java's framing begins with; its version follows twice.
const SNAPPY_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const SNAPPY_VERSION: u32 = 1;
const SNAPPY_HEADER_SIZE: usize = 16;
/// Bytes before compression in one block, as Java's default.
const SNAPPY_BLOCK_SIZE: usize = 32 * 1024;

/// Bytes that one byte of a snappy block becomes at most: three bytes copy up to 64 (the format's description, 2.2).
const SNAPPY_MAX_RATIO: usize = 22;

/// Largest window of zstd that is accepted, as a power of two: 8 MiB, what every decoder should support (RFC 8878,
/// 3.1.1.1.2) and all that levels up to 19 use. The decoder reserves the window before it gives any output.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// First guess at how much larger data is when decompressed.
const EXPECTED_RATIO: usize = 4;

/// Why a codec failed, before it is known which one.
enum Failure {
    /// The data is damaged, or the codec refused it.
    Malformed(String),
    /// The output is larger than the limit.
    TooLarge,
}

impl Failure {
    fn of(self, compression: Compression, max: usize) -> Error {
        match self {
            Self::Malformed(reason) => Error::Decompress { compression, reason },
            Self::TooLarge => Error::DecompressedTooLarge { max },
        }
    }
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
        Compression::Gzip => compress_gzip(records, out),
        Compression::Snappy => compress_snappy(records, out),
        Compression::Lz4 => compress_lz4(records, out),
        Compression::Zstd => compress_zstd(records, out),
    };
    result.map_err(|error| Error::Compress { compression, reason: error.to_string() })
}

/// The decompressed `data`, at most `max` bytes.
pub(super) fn decompress(compression: Compression, data: &[u8], max: usize) -> Result<Vec<u8>, Error> {
    let result = match compression {
        Compression::None if data.len() > max => Err(Failure::TooLarge),
        Compression::None => Ok(data.to_vec()),
        Compression::Snappy => decompress_snappy(data, max),
        Compression::Gzip | Compression::Lz4 | Compression::Zstd => {
            read_bounded(reader(compression, data)?, data.len(), max)
        }
    };
    result.map_err(|failure| failure.of(compression, max))
}

/// What gives the decompressed `data` piece by piece. Not for snappy, whose blocks come whole.
pub(super) fn reader(compression: Compression, data: &[u8]) -> Result<Box<dyn Read + '_>, Error> {
    let reader: io::Result<Box<dyn Read + '_>> = match compression {
        Compression::None => Ok(Box::new(data)),
        // Of one or several members, as Java's `GZIPInputStream` reads it.
        Compression::Gzip => Ok(Box::new(MultiGzDecoder::new(data))),
        Compression::Lz4 => Ok(Box::new(FrameDecoder::new(data))),
        Compression::Zstd => zstd_reader(data),
        Compression::Snappy => Err(io::Error::other("its blocks come whole")),
    };
    reader.map_err(|error| Error::Decompress { compression, reason: error.to_string() })
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

fn compress_gzip(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    GzEncoder::new(records, flate2::Compression::default()).read_to_end(out).map(drop)
}

/// Snappy in the framing of Java's `SnappyOutputStream` (xerial).
///
/// ```text
/// | 0x82 "SNAPPY" 0 | version i32 = 1 | compatible i32 = 1 | length i32 | block | length i32 | block | …
/// ```
fn compress_snappy(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(SNAPPY_MAGIC);
    out.extend_from_slice(&SNAPPY_VERSION.to_be_bytes());
    out.extend_from_slice(&SNAPPY_VERSION.to_be_bytes());
    let mut encoder = raw::Encoder::new();
    for block in records.chunks(SNAPPY_BLOCK_SIZE) {
        let length_at = out.len();
        let start = length_at + 4;
        out.resize(start + raw::max_compress_len(block.len()), 0);
        let written = encoder.compress(block, &mut out[start..])?;
        out.truncate(start + written);
        out[length_at..start].copy_from_slice(&(written as u32).to_be_bytes());
    }
    Ok(())
}

/// The framing as above, and bare blocks, which some clients send.
fn decompress_snappy(data: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    if !data.starts_with(SNAPPY_MAGIC) {
        append_snappy_block(data, &mut out, max)?;
        return Ok(out);
    }
    let mut rest = data.get(SNAPPY_HEADER_SIZE..).ok_or_else(|| malformed("its header is cut short"))?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or_else(|| malformed("a block's length is cut short"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(|| malformed("a block is cut short"))?;
        append_snappy_block(block, &mut out, max)?;
        rest = behind;
    }
    Ok(out)
}

/// Decompresses one block. It says beforehand how large it is.
fn append_snappy_block(block: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), Failure> {
    let size = raw::decompress_len(block).map_err(|error| malformed(error.to_string()))?;
    let start = out.len();
    if size > max - start {
        return Err(Failure::TooLarge);
    }
    if size > block.len().saturating_mul(SNAPPY_MAX_RATIO) {
        // Before memory for it is taken.
        return Err(malformed(format!("a block of {} bytes cannot hold the {size} that it says", block.len())));
    }
    out.resize(start + size, 0);
    raw::Decoder::new().decompress(block, &mut out[start..]).map(drop).map_err(|error| malformed(error.to_string()))
}

fn malformed(reason: impl Into<String>) -> Failure {
    Failure::Malformed(reason.into())
}

/// LZ4 frames. Batches of magic 2 have the right frame checksum, unlike those before them.
fn compress_lz4(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    // As Kafka's Java client writes them; it reads no linked blocks at all.
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}

fn compress_zstd(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(records.len()), 0);
    let written = zstd::bulk::compress_to_buffer(records, &mut out[start..], zstd::DEFAULT_COMPRESSION_LEVEL)?;
    out.truncate(start + written);
    Ok(())
}

fn zstd_reader(data: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    let mut decoder = Decoder::with_buffer(data)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(Box::new(decoder))
}
