//! The flags of a load and of the later check.

use std::time::Duration;

use clap::Args;

use holdfast_local::Setting;
use holdfast_proto::batch::Compression;

use crate::{
    delivery::parse_compression,
    units::{Size, parse_duration, parse_value_size},
};

/// What a load is like, and the topic that it writes to.
#[derive(Debug, Args)]
pub(super) struct LoadFlags {
    /// Name of the topic to write to.
    #[arg(short, long, value_name = "TOPIC", required = true)]
    pub(super) topic: Option<String>,
    /// Create the topic if it does not exist.
    #[arg(long)]
    pub(super) create: bool,
    /// Partitions of the new topic [default: the cluster's].
    #[arg(long, value_name = "N", requires = "create", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) partitions: Option<u32>,
    /// Replicas of the new topic [default: the cluster's].
    #[arg(short, long, alias = "replicas", value_name = "N", requires = "create")]
    pub(super) replication_factor: Option<u32>,
    /// A setting of the new topic.
    #[arg(short, long = "config", value_name = "KEY=VALUE", requires = "create")]
    pub(super) configs: Vec<Setting>,
    /// How long to produce, as 500ms, 30s, 5m, 1h [default: until Ctrl-C or SIGTERM].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Records a second, of all producers together.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) rate: u32,
    /// Size of a record's value, as 100 (bytes) or 64KiB; above 1 MB also -c max.message.bytes=16MiB.
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = parse_value_size)]
    pub(super) size: Size,
    /// Compression: none, gzip, snappy, lz4, zstd. The values are random, so it finds little.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    pub(super) compression: Compression,
    /// Producers, each with connections of its own; each writes to all partitions.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) producers: u32,
    /// Readers beside the one that checks: each takes one batch, then stands still with its connections open.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(super) stopped_readers: u32,
    /// Longest time to deliver a record, retries included. Then it is refused, or in doubt.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub(super) delivery_timeout: Duration,
    /// How long to wait for the cluster at the start.
    #[arg(long, alias = "patience", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
}

/// What is checked later.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Name of the topic to check.
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) topic: String,
    /// How many records must be there at least.
    #[arg(long, value_name = "N")]
    pub(super) expect: Option<u64>,
    /// Accept keys without an end marker: runs that were killed, or still go on.
    #[arg(long)]
    pub(super) allow_unfinished: bool,
    /// Retention removed more before than the settings of now explain: what partitions no longer begin with has expired,
    /// and is no loss.
    #[arg(long)]
    pub(super) allow_expired: bool,
    /// Accept what operators gave up: it is counted and shown all the same.
    #[arg(long)]
    pub(super) allow_given_up: bool,
    /// How long to wait for the cluster at the start.
    #[arg(long, alias = "patience", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
}
