//! From the cluster's metadata to what one replica and its log need.

use holdfast_metadata::{PartitionState, Topic, TopicConfig, config::FlushPolicy as TopicFlushPolicy, version::TRUST};
use holdfast_proto::ids::MetadataVersion;
use holdfast_replication::{Assignment, FlushPolicy, Frozen};

/// State and settings of a partition, for the core of a replica, in a cluster of this metadata version.
pub fn of(version: MetadataVersion, topic: &Topic, state: &PartitionState) -> Assignment {
    Assignment {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.clone(),
        isr: state.isr.clone(),
        min_insync_replicas: u32::try_from(topic.effective_min_isr(state)).unwrap_or(u32::MAX),
        flush_policy: match topic.config().flush_policy {
            TopicFlushPolicy::Ack => FlushPolicy::Ack,
            TopicFlushPolicy::Interval => FlushPolicy::Interval,
        },
        frozen: if version >= TRUST { Frozen::Kept(state.frozen_high_watermark) } else { Frozen::NotKept },
    }
}

/// Settings of a topic, for the log of a replica.
pub fn log_config(config: &TopicConfig) -> holdfast_log::LogConfig {
    holdfast_log::LogConfig {
        segment_bytes: config.segment_bytes,
        segment_ms: config.segment_ms,
        flush: match config.flush_policy {
            TopicFlushPolicy::Ack => holdfast_log::FlushTiming::EachRound,
            TopicFlushPolicy::Interval => {
                holdfast_log::FlushTiming::Interval { messages: config.flush_messages, ms: config.flush_ms }
            }
        },
        ..holdfast_log::LogConfig::default()
    }
}

/// What retention of a topic keeps to.
pub fn retention(config: &TopicConfig) -> holdfast_log::Retention {
    holdfast_log::Retention { ms: config.retention_ms, bytes: config.retention_bytes }
}
