//! The flags of `holdfast produce`.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;

use holdfast_proto::batch::{Compression, Header};

use crate::{
    connect::Connect,
    delivery::{AcksFlag, parse_compression},
    format::unescape,
    units::parse_duration,
};

const EXAMPLES: &str = "\
Examples:
  # key and value, at the first colon
  echo 'alice:2 apples' | holdfast produce orders -K:
  holdfast produce logs /var/log/syslog -z zstd    a file, one record a line
  # all of the input as one record
  holdfast produce orders -k alice -D '' < order.json
  seq 1000000 | holdfast produce numbers -p 0 -o json

Ends when everything is acknowledged. Exit code 0: all records were delivered;
1: some were refused; 4: some are in doubt, they may be in the log.";

/// Arguments of `holdfast produce`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub(super) connect: Connect,
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    pub(super) topic: String,
    /// Files to read [default: standard input].
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// What separates the key from the value in a line; \t for a tab. A line without it has no key.
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = parse_separator, conflicts_with = "key")]
    pub(super) key_separator: Option<Delimiter>,
    /// The key of every record.
    #[arg(short, long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// The partition of every record [default: chosen by the key, or changing].
    #[arg(short, long, value_name = "N")]
    pub(super) partition: Option<u32>,
    /// What ends a record; \0 for a zero byte, empty for one record a file.
    #[arg(short = 'D', long, value_name = "TEXT", value_parser = parse_delimiter, default_value = "\\n")]
    pub(super) delimiter: Delimiter,
    /// A header of every record. May be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    pub(super) headers: Vec<Header>,
    /// An empty value is sent as none: a tombstone.
    #[arg(short = 'Z', long)]
    pub(super) tombstones: bool,
    /// When a record counts as delivered: none, leader, all.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) acks: AcksFlag,
    /// Compression: none, gzip, snappy, lz4, zstd.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    pub(super) compression: Compression,
    /// Longest time to deliver a record, retries included. Then it is refused, or in doubt.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub(super) delivery_timeout: Duration,
}

/// A separator on the command line, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delimiter(pub(super) Vec<u8>);

fn parse_delimiter(text: &str) -> Result<Delimiter, String> {
    unescape(text).map(Delimiter)
}

fn parse_separator(text: &str) -> Result<Delimiter, String> {
    match unescape(text)? {
        bytes if bytes.is_empty() => Err("'' is not a separator; write one character or more".to_owned()),
        bytes => Ok(Delimiter(bytes)),
    }
}

fn parse_header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is not a header; write name=value"))?;
    Ok(Header { key: name.to_owned(), value: Some(Bytes::copy_from_slice(value.as_bytes())) })
}

/// The arguments of a command line, for tests: the flags behind the topic's name.
#[cfg(test)]
pub(super) fn parse(flags: &[&str]) -> Result<ProduceArgs, clap::Error> {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        args: ProduceArgs,
    }

    let line = [&["produce", "orders"], flags].concat();
    <Flags as clap::Parser>::try_parse_from(line).map(|flags| flags.args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_flags_are_refused() {
        for flags in [
            &["-K", ""][..],
            &["-z", "rar"],
            &["-H", "x"],
            &["--acks", "2"],
            &["--delivery-timeout", "5"],
            &["-K:", "-k", "x"],
            &["-D", "\\q"],
        ] {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
        let args = |flags: &[&str]| parse(flags).unwrap();
        assert_eq!(args(&["--acks", "1"]).acks, AcksFlag::Leader);
        assert_eq!(args(&["-z", "lz4"]).compression, Compression::Lz4);
    }
}
