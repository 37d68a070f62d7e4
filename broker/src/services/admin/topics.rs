//! Topics and their settings, as they are asked for and answered.

use std::{collections::BTreeMap, num::NonZeroU32};

use holdfast_metadata::{PartitionState, config::Setting};
use holdfast_proto::ids::{MetadataIndex, TopicId};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Name, 1 to 249 characters; the controllers check it.
    pub name: String,
    /// Number of partitions; `None`: the cluster's default.
    pub partition_count: Option<NonZeroU32>,
    /// Number of replicas of each partition; `None`: the cluster's default.
    pub replication_factor: Option<NonZeroU32>,
    /// Settings that differ from the defaults, by Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// True: check everything, create nothing.
    pub validate_only: bool,
}

/// A topic that was created, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// The id; `None` if it was only checked.
    pub topic_id: Option<TopicId>,
    /// The partitions by index.
    pub partitions: Vec<PartitionState>,
    /// What is allowed but risky, a sentence each.
    pub warnings: Vec<String>,
    /// Metadata index of the creation; 0 if it was only checked.
    pub index: MetadataIndex,
}

/// A topic to delete, with all of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDeletion {
    /// Name of the topic.
    pub name: String,
    /// Id of the topic; if given, one of that name but another id is not deleted.
    pub topic_id: Option<TopicId>,
}

/// What to change about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChange {
    /// Name of the topic.
    pub name: String,
    /// Settings to change, by Kafka's names; `None` goes back to the default. Others stay.
    pub configs: BTreeMap<String, Option<String>>,
    /// New number of partitions, more than now; `None`: unchanged.
    pub partition_count: Option<u32>,
    /// True: check everything, change nothing.
    pub validate_only: bool,
}

/// A topic that was changed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedTopic {
    /// What is allowed but risky, a sentence each.
    pub warnings: Vec<String>,
    /// Metadata index of the change; 0 if it was only checked.
    pub index: MetadataIndex,
}

/// All settings of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// The settings, sorted by key, defaults included.
    pub settings: Vec<Setting>,
    /// Metadata index that they are true at.
    pub index: MetadataIndex,
}
