//! How records are delivered, as flags: acknowledgements and compression.

use clap::ValueEnum;

use holdfast_client::producer::Acks;
use holdfast_proto::batch::{Compression, UnknownCompressionName};

/// When a record counts as delivered, as a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcksFlag {
    /// When it is sent; it may vanish at any time.
    #[value(name = "none", alias = "0")]
    None,
    /// When the leader has it; it may vanish with the leader.
    #[value(name = "leader", alias = "1")]
    Leader,
    /// When all in-sync replicas have it on disk.
    #[default]
    #[value(name = "all", alias = "-1")]
    All,
}

impl From<AcksFlag> for Acks {
    fn from(flag: AcksFlag) -> Self {
        match flag {
            AcksFlag::None => Self::None,
            AcksFlag::Leader => Self::Leader,
            AcksFlag::All => Self::All,
        }
    }
}

/// A codec by its name.
pub(crate) fn parse_compression(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|error: UnknownCompressionName| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_codec_is_answered_with_the_known_ones() {
        assert_eq!(parse_compression("rar").unwrap_err(), "unknown codec 'rar'; known: none, gzip, snappy, lz4, zstd");
    }
}
