//! The form of a snapshot's bytes, the same on disk and between controllers.
//!
//! ```text
//!   version (1) │ CRC-32C of the rest, big-endian (4) │ JSON { index, records }
//! ```

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::MetadataIndex;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Body {
    index: MetadataIndex,
    records: Vec<Record>,
}

/// Encodes the image.
pub(super) fn encode_image(image: &Image) -> io::Result<Bytes> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, &Body { index: image.index(), records: image.records() })?;
    let crc = crc32c::crc32c(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes.into())
}

/// Decodes an image. Any other bytes are an error that says what is wrong.
pub(super) fn decode_image(bytes: &[u8]) -> io::Result<Image> {
    let damaged = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let (&version, rest) = bytes.split_first().ok_or_else(|| damaged("the snapshot is empty".to_owned()))?;
    if version != VERSION {
        return Err(damaged(format!("the snapshot has format {version}; this version reads {VERSION}")));
    }
    let (stored, json) =
        rest.split_first_chunk::<4>().ok_or_else(|| damaged(format!("the snapshot has only {} bytes", bytes.len())))?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c::crc32c(json));
    if stored != computed {
        return Err(damaged(format!("the snapshot's checksum is {computed:08x}, stored is {stored:08x}")));
    }
    let body: Body = serde_json::from_slice(json).map_err(|error| damaged(format!("the snapshot: {error}")))?;
    Image::from_records(body.index, &body.records).map_err(|error| damaged(format!("the snapshot: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let image = Image::default();
        let bytes = encode_image(&image).expect("encode");
        assert_eq!(decode_image(&bytes).expect("decode"), image);
        for cut in 0..bytes.len() {
            assert!(decode_image(&bytes[..cut]).is_err(), "cut at {cut}");
            let mut flipped = bytes.to_vec();
            flipped[cut] ^= 1;
            assert!(decode_image(&flipped).is_err(), "bit of byte {cut} flipped");
        }
    }
}
