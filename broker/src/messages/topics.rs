//! Topics and their settings as messages.

use std::num::NonZeroU32;

use holdfast_metadata_wire::{settings, view};
use holdfast_proto::{
    convert::{Error, optional_id, required},
    detail::ErrorDetail,
    ids::{MetadataIndex, TopicId},
    v1,
};

use crate::services::admin::topics::{ChangedTopic, CreatedTopic, NewTopic, TopicChange, TopicDeletion, TopicSettings};

/// The topic that a request asks for.
pub(crate) fn new_topic(request: v1::CreateTopicRequest) -> Result<NewTopic, ErrorDetail> {
    let configs = settings::by_key(request.configs)?.into_iter();
    Ok(NewTopic {
        name: request.name,
        partition_count: NonZeroU32::new(request.partition_count),
        replication_factor: NonZeroU32::new(request.replication_factor),
        configs: configs
            .map(|(key, value)| Ok((key, required(value, "configs.value")?)))
            .collect::<Result<_, Error>>()?,
        validate_only: request.validate_only,
    })
}

/// The request for a topic.
pub(crate) fn create_request(topic: NewTopic) -> v1::CreateTopicRequest {
    let or_default = |count: Option<NonZeroU32>| count.map_or(0, NonZeroU32::get);
    v1::CreateTopicRequest {
        name: topic.name,
        partition_count: or_default(topic.partition_count),
        replication_factor: or_default(topic.replication_factor),
        configs: topic.configs.into_iter().map(|(key, value)| entry(key, Some(value))).collect(),
        validate_only: topic.validate_only,
    }
}

/// The answer to a creation; the name is that of the request.
pub(crate) fn create_answer(name: String, created: CreatedTopic) -> v1::CreateTopicResponse {
    v1::CreateTopicResponse {
        topic: Some(view::created(name, created.topic_id, &created.partitions)),
        index: created.index.0,
        warnings: created.warnings,
    }
}

/// What a creation was answered.
pub(crate) fn created(answer: v1::CreateTopicResponse) -> Result<CreatedTopic, Error> {
    let topic = required(answer.topic, "topic")?;
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for (expected, info) in (0..).zip(topic.partitions) {
        let (index, state) = view::partition_from_message(info)?;
        if index.0 != expected {
            return Err(Error::OutOfRange { field: "topic.partitions.partition", value: index.0.into() });
        }
        partitions.push(state);
    }
    Ok(CreatedTopic {
        topic_id: optional_id(&topic.topic_id, "topic.topic_id")?,
        partitions,
        warnings: answer.warnings,
        index: MetadataIndex(answer.index),
    })
}

/// The topic that a request wants deleted.
pub(crate) fn deletion(request: v1::DeleteTopicRequest) -> Result<TopicDeletion, Error> {
    Ok(TopicDeletion { topic_id: optional_id(&request.topic_id, "topic_id")?, name: request.name })
}

/// The request for a deletion.
pub(crate) fn delete_request(deletion: TopicDeletion) -> v1::DeleteTopicRequest {
    let topic_id = deletion.topic_id.map(TopicId::to_bytes).unwrap_or_default();
    v1::DeleteTopicRequest { name: deletion.name, topic_id }
}

/// The change that a request asks for.
pub(crate) fn change(request: v1::AlterTopicRequest) -> Result<TopicChange, ErrorDetail> {
    Ok(TopicChange {
        name: request.name,
        configs: settings::by_key(request.configs)?,
        partition_count: request.partition_count,
        validate_only: request.validate_only,
    })
}

/// The request for a change.
pub(crate) fn alter_request(change: TopicChange) -> v1::AlterTopicRequest {
    v1::AlterTopicRequest {
        name: change.name,
        configs: change.configs.into_iter().map(|(key, value)| entry(key, value)).collect(),
        partition_count: change.partition_count,
        validate_only: change.validate_only,
    }
}

/// The answer to a change.
pub(crate) fn alter_answer(changed: ChangedTopic) -> v1::AlterTopicResponse {
    v1::AlterTopicResponse { index: changed.index.0, warnings: changed.warnings }
}

/// What a change was answered.
pub(crate) fn changed(answer: v1::AlterTopicResponse) -> ChangedTopic {
    ChangedTopic { warnings: answer.warnings, index: MetadataIndex(answer.index) }
}

/// The answer to who asks for a topic's settings.
pub(crate) fn settings_answer(found: TopicSettings) -> v1::DescribeTopicConfigResponse {
    v1::DescribeTopicConfigResponse {
        configs: found.settings.into_iter().map(view::setting).collect(),
        index: found.index.0,
    }
}

fn entry(key: String, value: Option<String>) -> v1::ConfigEntry {
    v1::ConfigEntry { key, value, is_default: false }
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
