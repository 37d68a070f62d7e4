//! The hash of all changes up to an index: two controllers with the same one at the same index decided alike.
//!
//! ```text
//!   hash of index i = first half of SHA-256( hash before │ i, 8 bytes, big-endian │ for each record: length, JSON )
//! ```
//!
//! An index without records leaves the hash as it is. The cost is that of what changes, however large the image is. The
//! JSON of a record is what snapshots hold: a record that is written in another way is another change, so that a field
//! added later must be left out until its metadata version is finalised.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use holdfast_proto::ids::MetadataIndex;

/// Bytes of a hash.
const BYTES: usize = 16;

/// The hash as of an index. See the module. Stored as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HistoryHash([u8; BYTES]);

impl HistoryHash {
    /// The hash before any change.
    pub const START: Self = Self([0; BYTES]);

    /// The hash after the changes of one index.
    #[must_use]
    pub fn then<'a, R: Serialize + 'a>(self, index: MetadataIndex, records: impl IntoIterator<Item = &'a R>) -> Self {
        let mut records = records.into_iter().peekable();
        if records.peek().is_none() {
            return self;
        }
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(index.0.to_be_bytes());
        let mut json = Vec::new();
        for record in records {
            json.clear();
            serde_json::to_writer(&mut json, record).expect("a record is JSON: its keys are strings");
            hasher.update((json.len() as u64).to_be_bytes());
            hasher.update(&json);
        }
        let digest = hasher.finalize();
        let mut hash = [0; BYTES];
        hash.copy_from_slice(&digest[..BYTES]);
        Self(hash)
    }

    /// The hash as it travels.
    pub fn to_bytes(self) -> [u8; BYTES] {
        self.0
    }

    /// From what travelled; `None` for another number of bytes, as for a field that is not set.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for HistoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HistoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<HistoryHash> for String {
    fn from(hash: HistoryHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for HistoryHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("'{text}' is not a hash of {} hexadecimal digits", 2 * BYTES);
        if text.len() != 2 * BYTES || !text.is_ascii() {
            return Err(wrong());
        }
        let mut hash = [0; BYTES];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
