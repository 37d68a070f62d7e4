//! Snappy in the framing of Java's `SnappyOutputStream` (xerial), and bare blocks, which some clients send.
//!
//! ```text
//! | 0x82 "SNAPPY" 0 | version i32 = 1 | compatible i32 = 1 | length i32 | block | length i32 | block | …
//! ```

use std::io;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::Failure;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const VERSION: u32 = 1;
const HEADER_SIZE: usize = 16;
/// Bytes before compression in one block, as Java's default.
const BLOCK_SIZE: usize = 32 * 1024;

pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in records.chunks(BLOCK_SIZE) {
        let length_at = out.len();
        let start = length_at + 4;
        out.resize(start + max_compress_len(block.len()), 0);
        let written = encoder.compress(block, &mut out[start..])?;
        out.truncate(start + written);
        out[length_at..start].copy_from_slice(&(written as u32).to_be_bytes());
    }
    Ok(())
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    if !data.starts_with(MAGIC) {
        append_block(data, &mut out, max)?;
        return Ok(out);
    }
    let mut rest = data.get(HEADER_SIZE..).ok_or_else(|| malformed("its header is cut short"))?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or_else(|| malformed("a block's length is cut short"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(|| malformed("a block is cut short"))?;
        append_block(block, &mut out, max)?;
        rest = behind;
    }
    Ok(out)
}

/// Decompresses one block. It says beforehand how large it is.
fn append_block(block: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), Failure> {
    let size = decompress_len(block).map_err(|error| malformed(error.to_string()))?;
    let start = out.len();
    if size > max - start {
        return Err(Failure::TooLarge);
    }
    out.resize(start + size, 0);
    Decoder::new().decompress(block, &mut out[start..]).map(drop).map_err(|error| malformed(error.to_string()))
}

fn malformed(reason: impl Into<String>) -> Failure {
    Failure::Malformed(reason.into())
}
