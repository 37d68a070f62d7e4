//! What stands on disk, as bytes.
//!
//! ```text
//!   a value of openraft's    version (1) │ JSON
//!   an image, also as it travels between controllers
//!                            version (1) │ CRC-32C of the rest, big-endian (4) │ JSON { index, records }
//! ```

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::MetadataIndex;

/// Version of a value's encoding.
const VERSION: u8 = 1;
/// Version of an image's encoding.
const IMAGE_VERSION: u8 = 1;

/// The bytes of a value of openraft's, for [`decode`].
pub(super) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

/// Number of bytes that [`encode`] would give, without making them.
pub(super) fn encoded_bytes<T: Serialize>(value: &T) -> io::Result<usize> {
    let mut counted = Counted(1);
    serde_json::to_writer(&mut counted, value)?;
    Ok(counted.0)
}

/// Takes any bytes, and keeps their number alone.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something that is whole, and that this build does not know: written by a newer one.
#[derive(Debug, thiserror::Error)]
#[error("{what} holds something that this build does not know ({why})")]
pub(super) struct Unknown {
    what: String,
    why: String,
}

impl Unknown {
    /// What `error` says of `what`, if it is this.
    pub(super) fn of(what: &str, error: &serde_json::Error) -> Option<Self> {
        error.is_data().then(|| Self { what: what.to_owned(), why: error.to_string() })
    }

    /// True if this is why something was not decoded.
    pub(super) fn is_cause(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// JSON that is not read: unknown to this build, or damaged.
fn unread(what: &str, error: &serde_json::Error) -> io::Error {
    let kind = io::ErrorKind::InvalidData;
    match Unknown::of(what, error) {
        Some(unknown) => io::Error::new(kind, unknown),
        None => io::Error::new(kind, format!("{what} is damaged: {error}")),
    }
}

/// Decodes what [`encode`] made. Any other bytes are an error that names `what`.
pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> io::Result<T> {
    let damaged = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    match bytes.split_first() {
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(|error| unread(&format!("the stored {what}"), &error))
        }
        Some((version, _)) => Err(damaged(format!(
            "the stored {what} has format {version}; this version reads {VERSION}: install the newer version again"
        ))),
        None => Err(damaged(format!("the stored {what} is empty"))),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    index: MetadataIndex,
    records: Vec<Record>,
}

/// The bytes of an image, for [`decode_image`]: its records, so that its form in memory is free to change.
pub(super) fn encode_image(image: &Image) -> io::Result<Bytes> {
    let mut bytes = vec![IMAGE_VERSION, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, &Body { index: image.index(), records: image.records() })?;
    let crc = crc32c::crc32c(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes.into())
}

/// Decodes the image of a snapshot that is said to be true at `index`; an image of another index is an error: the entries
/// behind it would not fit.
pub(super) fn decode_image_at(index: MetadataIndex, bytes: &[u8]) -> io::Result<Image> {
    let image = decode_image(bytes)?;
    if image.index() == index {
        return Ok(image);
    }
    let message =
        format!("the snapshot is said to be of index {index}, and holds the state of index {}", image.index());
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Decodes an image. Any other bytes are an error that says what is wrong.
pub(super) fn decode_image(bytes: &[u8]) -> io::Result<Image> {
    let damaged = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let (&version, rest) = bytes.split_first().ok_or_else(|| damaged("the snapshot is empty".to_owned()))?;
    if version != IMAGE_VERSION {
        return Err(damaged(format!("the snapshot has format {version}; this version reads {IMAGE_VERSION}")));
    }
    let (stored, json) =
        rest.split_first_chunk::<4>().ok_or_else(|| damaged(format!("the snapshot has only {} bytes", bytes.len())))?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c::crc32c(json));
    if stored != computed {
        return Err(damaged(format!("the snapshot's checksum is {computed:08x}, stored is {stored:08x}")));
    }
    let body: Body = serde_json::from_slice(json).map_err(|error| unread("the snapshot", &error))?;
    Image::from_records(body.index, &body.records).map_err(|error| damaged(format!("the snapshot: {error}")))
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::Command;

    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let bytes = encode(&vec![1_u64, 2]).expect("encode");
        assert_eq!(bytes[0], VERSION);
        assert_eq!(encoded_bytes(&vec![1_u64, 2]).expect("counted"), bytes.len());
        assert_eq!(decode::<Vec<u64>>("list", &bytes).expect("decode"), [1, 2]);
        for bad in [&b""[..], &b"\x02[1]"[..], &b"\x01[1"[..], &b"\x01{}"[..]] {
            assert!(decode::<Vec<u64>>("list", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_newer_build_wrote_is_told_from_what_is_damaged() {
        let unknown = |result: io::Result<Command>| Unknown::is_cause(&result.expect_err("it is not read"));
        assert!(unknown(decode("log entry", b"\x01{\"added_later\":{}}")));
        assert!(!unknown(decode("log entry", b"\x01{\"begin")), "cut off");
        let mut snapshot = vec![IMAGE_VERSION, 0, 0, 0, 0];
        snapshot.extend(br#"{"index":1,"records":[{"added_later":{}}]}"#);
        let crc = crc32c::crc32c(&snapshot[5..]);
        snapshot[1..5].copy_from_slice(&crc.to_be_bytes());
        let error = decode_image(&snapshot).expect_err("it is not read");
        assert!(Unknown::is_cause(&error) && error.to_string().contains("added_later"), "{error}");
    }

    #[test]
    fn an_image_is_read_whole_or_not_at_all() {
        let image = Image::default();
        let bytes = encode_image(&image).expect("encode");
        assert_eq!(decode_image(&bytes).expect("decode"), image);
        assert_eq!(decode_image_at(MetadataIndex(0), &bytes).expect("decode"), image);
        assert!(decode_image_at(MetadataIndex(1), &bytes).is_err(), "the state of another index");
        for cut in 0..bytes.len() {
            assert!(decode_image(&bytes[..cut]).is_err(), "cut at {cut}");
            let mut flipped = bytes.to_vec();
            flipped[cut] ^= 1;
            assert!(decode_image(&flipped).is_err(), "bit of byte {cut} flipped");
        }
    }
}
