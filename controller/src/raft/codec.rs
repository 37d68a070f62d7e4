//! How openraft's values are stored: one version byte, then JSON.

use std::io;

use serde::{Serialize, de::DeserializeOwned};

/// Version of the encoding.
const VERSION: u8 = 1;

/// Encodes a value.
pub(super) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

/// Decodes what [`encode`] made. Any other bytes are an error that names `what`.
pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> io::Result<T> {
    let damaged = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    match bytes.split_first() {
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(|error| damaged(format!("the stored {what} is damaged: {error}")))
        }
        Some((version, _)) => Err(damaged(format!(
            "the stored {what} has format {version}; this version reads {VERSION}: install the newer version again"
        ))),
        None => Err(damaged(format!("the stored {what} is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let bytes = encode(&vec![1_u64, 2]).expect("encode");
        assert_eq!(bytes[0], VERSION);
        assert_eq!(decode::<Vec<u64>>("list", &bytes).expect("decode"), [1, 2]);
        for bad in [&b""[..], &b"\x02[1]"[..], &b"\x01[1"[..], &b"\x01{}"[..]] {
            assert!(decode::<Vec<u64>>("list", bad).is_err(), "{bad:?}");
        }
    }
}
