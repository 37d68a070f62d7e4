//! LZ4 frames. Batches of magic 2 have the right frame checksum, unlike those before them.

use std::io::{self, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Failure, read_bounded};

pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    // As Kafka's Java client writes them; it reads no linked blocks at all.
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    read_bounded(FrameDecoder::new(data), data.len(), max)
}
