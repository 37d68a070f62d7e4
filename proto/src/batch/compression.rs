//! The compressions a batch can have, by Kafka's names and numbers. The codecs stand in `codec`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How the records of a batch are compressed. The header never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Records stand in the batch as they are. The default.
    #[default]
    None,
    /// One gzip member (RFC 1952); when read, several are allowed.
    Gzip,
    /// Snappy blocks in the framing of Java's `SnappyOutputStream` (xerial).
    Snappy,
    /// LZ4 frame with independent blocks of 64 KiB; Kafka's Java client reads no linked ones.
    Lz4,
    /// Zstandard frame (KIP-110); when read, its window is bounded.
    Zstd,
}

impl Compression {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in the attributes of a batch.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The compression with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// A name of a compression that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec '{0}'; known: none, gzip, snappy, lz4, zstd")]
pub struct UnknownCompressionName(pub String);

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompressionName;

    fn from_str(name: &str) -> Result<Self, UnknownCompressionName> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| UnknownCompressionName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_again() {
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse(), Ok(compression));
            assert_eq!(Compression::from_number(compression.number()), Some(compression));
        }
        assert_eq!("brotli".parse::<Compression>(), Err(UnknownCompressionName("brotli".to_owned())));
        assert_eq!(Compression::from_number(5), None);
    }
}
