//! Gzip (RFC 1952), of one or several members as Java's `GZIPInputStream` reads it.

use std::io::{self, Read};

use flate2::{
    Compression,
    bufread::{GzEncoder, MultiGzDecoder},
};

use super::{Failure, read_bounded};

pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    GzEncoder::new(records, Compression::default()).read_to_end(out).map(drop)
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    read_bounded(MultiGzDecoder::new(data), data.len(), max)
}
