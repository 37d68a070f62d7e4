//! The settings of a topic: keys with Kafka's names, typed values, defaults and ranges.
//!
//! [`TopicConfig::parse`] is strict and reports every problem at once; it guards what enters the cluster.
//! [`TopicConfig::from_stored`] is lenient: what another version stored must not stop this one.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    ops::RangeInclusive,
};

use holdfast_proto::near::nearest;

use crate::limits::{MAX_MESSAGE_BYTES, MAX_REPLICATION_FACTOR};

/// Keys of all settings that a topic can have, sorted; any other key is refused.
pub const KEYS: [&str; 11] = [
    "cleanup.policy",
    "compression.type",
    "flush.messages",
    "flush.ms",
    "flush.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
];

/// What happens to old records (`cleanup.policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanupPolicy {
    /// Whole segments go by age and size.
    Delete,
}

/// How batches are stored (`compression.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
}

/// What counts towards the high watermark (`flush.policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushPolicy {
    /// The flushed end: fsync before the ack.
    Ack,
    /// The appended end, as in Kafka, flushed every `flush.messages` or `flush.ms`. A power loss of all replicas at
    /// once can lose acknowledged records.
    Interval,
}

/// The settings of one topic, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// `cleanup.policy`, default `delete`: what happens to old records. There is no other policy.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`, default `producer`: how batches are stored. There is no other type.
    pub compression_type: CompressionType,
    /// `flush.messages`, default 10,000: records between two flushes under `flush.policy=interval`.
    pub flush_messages: u64,
    /// `flush.ms`, default 1,000: time between two flushes under `flush.policy=interval`.
    pub flush_ms: u64,
    /// `flush.policy`, default `ack`: whether a record counts once it is flushed, or already once it is appended.
    pub flush_policy: FlushPolicy,
    /// `max.message.bytes`, default 1 MiB and 4 KiB (a value of 1 MiB with its key, headers and batch header): largest
    /// record batch. Too small refuses producers, too large lets one batch hold up a stream.
    pub max_message_bytes: u32,
    /// `min.insync.replicas`, default 2: replicas that must hold a record before it is acknowledged. What counts is
    /// never more than the number of replicas. 1 loses records with one disk.
    pub min_insync_replicas: u32,
    /// `retention.bytes`, default none (-1): size of a partition above which old segments go.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`, default 7 days; none is -1: age above which segments go.
    pub retention_ms: Option<u64>,
    /// `segment.bytes`, default 1 GiB: size at which a segment is closed. Small ones cost files, large ones make
    /// retention coarse.
    pub segment_bytes: u32,
    /// `segment.ms`, default 7 days: age at which a segment is closed even if small.
    pub segment_ms: u64,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            cleanup_policy: CleanupPolicy::Delete,
            compression_type: CompressionType::Producer,
            flush_messages: 10_000,
            flush_ms: 1_000,
            flush_policy: FlushPolicy::Ack,
            max_message_bytes: 1024 * 1024 + 4096,
            min_insync_replicas: 2,
            retention_bytes: None,
            retention_ms: Some(7 * 24 * 60 * 60 * 1000),
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
        }
    }
}

/// One thing that is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct Error {
    /// The key as given.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// One setting of one topic, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Name of the setting as Kafka has it, one of [`KEYS`].
    pub key: &'static str,
    /// The value that is in force.
    pub value: String,
    /// True if nobody set it for this topic.
    pub is_default: bool,
}

impl TopicConfig {
    /// The settings, or everything that is wrong with them, in order of the keys.
    pub fn parse(configs: &BTreeMap<String, String>) -> Result<Self, Vec<Error>> {
        let mut config = Self::default();
        let problems: Vec<Error> = configs
            .iter()
            .filter_map(|(key, value)| config.set(key, value).err().map(|message| Error { key: key.clone(), message }))
            .collect();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// The settings that a record holds; what this version does not understand keeps its default.
    pub fn from_stored(configs: &BTreeMap<String, String>) -> Self {
        let mut config = Self::default();
        for (key, value) in configs {
            // Refused values leave the default; they were valid where they were accepted.
            let _ = config.set(key, value);
        }
        config
    }

    /// What is wrong with a key, if anything is.
    pub fn key_problem(key: &str) -> Option<String> {
        (!KEYS.contains(&key)).then(|| unknown_key(key))
    }

    /// What counts as min.insync.replicas for a partition with this many replicas.
    pub fn effective_min_isr(&self, replicas: usize) -> usize {
        (self.min_insync_replicas as usize).min(replicas)
    }

    /// Every setting as key and value, sorted by key.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        KEYS.iter().map(|key| (*key, self.get(key))).collect()
    }

    /// Value of a key of [`KEYS`].
    fn get(&self, key: &str) -> String {
        let or_minus_one = |limit: Option<u64>| limit.map_or_else(|| "-1".to_owned(), |v| v.to_string());
        match key {
            "cleanup.policy" => self.cleanup_policy.to_string(),
            "compression.type" => self.compression_type.to_string(),
            "flush.messages" => self.flush_messages.to_string(),
            "flush.ms" => self.flush_ms.to_string(),
            "flush.policy" => self.flush_policy.to_string(),
            "max.message.bytes" => self.max_message_bytes.to_string(),
            "min.insync.replicas" => self.min_insync_replicas.to_string(),
            "retention.bytes" => or_minus_one(self.retention_bytes),
            "retention.ms" => or_minus_one(self.retention_ms),
            "segment.bytes" => self.segment_bytes.to_string(),
            "segment.ms" => self.segment_ms.to_string(),
            other => panic!("{other} is listed in KEYS but has no value"),
        }
    }

    /// Sets one key, or says what is wrong with it.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "cleanup.policy" => match value {
                "delete" => self.cleanup_policy = CleanupPolicy::Delete,
                "compact" | "compact,delete" | "delete,compact" => {
                    return Err("compaction is not supported yet; use delete".into());
                }
                other => return Err(format!("'{other}' is not a policy; write delete")),
            },
            "compression.type" => match value {
                "producer" => self.compression_type = CompressionType::Producer,
                "uncompressed" | "gzip" | "snappy" | "lz4" | "zstd" => {
                    return Err("brokers do not compress again yet; use producer, and set the compression there".into());
                }
                other => return Err(format!("'{other}' is not a codec; write producer")),
            },
            "flush.messages" => self.flush_messages = number(value, 1..=i64::MAX)?.cast_unsigned(),
            "flush.ms" => self.flush_ms = number(value, 1..=i64::MAX)?.cast_unsigned(),
            "flush.policy" => match value {
                "ack" => self.flush_policy = FlushPolicy::Ack,
                "interval" => self.flush_policy = FlushPolicy::Interval,
                other => return Err(format!("'{other}' is not a policy; write ack or interval")),
            },
            "max.message.bytes" => {
                self.max_message_bytes = number(value, 1024..=i64::from(MAX_MESSAGE_BYTES))? as u32;
            }
            "min.insync.replicas" => {
                self.min_insync_replicas = number(value, 1..=i64::from(MAX_REPLICATION_FACTOR))? as u32;
            }
            "retention.bytes" => self.retention_bytes = unless_minus_one(value)?,
            "retention.ms" => self.retention_ms = unless_minus_one(value)?,
            // Index files hold positions as 32 bits, signed in Kafka's tools.
            "segment.bytes" => self.segment_bytes = number(value, 16 * 1024..=i64::from(i32::MAX))? as u32,
            "segment.ms" => self.segment_ms = number(value, 100..=i64::MAX)?.cast_unsigned(),
            unknown => return Err(unknown_key(unknown)),
        }
        Ok(())
    }
}

/// Names the key that was probably meant, or all of them.
fn unknown_key(key: &str) -> String {
    match nearest(key, &KEYS) {
        Some(near) => format!("unknown setting; did you mean {near}?"),
        None => format!("unknown setting; known: {}", KEYS.join(", ")),
    }
}

/// A whole number in a range.
fn number(value: &str, range: RangeInclusive<i64>) -> Result<i64, String> {
    let upper = if *range.end() == i64::MAX { " or more".to_owned() } else { format!(" to {}", range.end()) };
    match value.parse::<i64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(number) => Err(format!("{number} is out of range; allowed: {}{upper}", range.start())),
        Err(_) => Err(format!("'{value}' is not a whole number; allowed: {}{upper}", range.start())),
    }
}

/// A limit of at least 1, or none for -1.
fn unless_minus_one(value: &str) -> Result<Option<u64>, String> {
    match number(value, -1..=i64::MAX)? {
        -1 => Ok(None),
        0 => Err("0 would delete every record at once; use at least 1, or -1 for no limit".into()),
        limit => Ok(Some(limit.cast_unsigned())),
    }
}

impl Display for CleanupPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete => f.write_str("delete"),
        }
    }
}

impl Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Producer => f.write_str("producer"),
        }
    }
}

impl Display for FlushPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ack => "ack",
            Self::Interval => "interval",
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
