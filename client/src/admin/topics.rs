//! Topics and their settings.

use std::time::Duration;

use holdfast_proto::v1;

use super::{Admin, handle::Repeat};
use crate::{
    deadline::Deadline,
    error::Error,
    metadata::TopicView,
    offsets::{self, OffsetAt, OffsetQuery},
};

/// A new topic: its name, partitions, replicas and settings.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    name: String,
    partition_count: u32,
    replication_factor: u32,
    configs: Vec<v1::ConfigEntry>,
    validate_only: bool,
}

impl NewTopic {
    /// A topic with the cluster's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Number of partitions; 0: the cluster's default.
    #[must_use]
    pub const fn partitions(mut self, count: u32) -> Self {
        self.partition_count = count;
        self
    }

    /// Number of replicas; 0: the cluster's default.
    #[must_use]
    pub const fn replication_factor(mut self, count: u32) -> Self {
        self.replication_factor = count;
        self
    }

    /// A setting by Kafka's name, such as `min.insync.replicas`.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push(v1::ConfigEntry { key: key.into(), value: Some(value.into()), is_default: false });
        self
    }

    /// Check everything, create nothing.
    #[must_use]
    pub const fn validate_only(mut self, only: bool) -> Self {
        self.validate_only = only;
        self
    }
}

/// What is to change about a topic.
#[derive(Clone, Debug, Default)]
pub struct TopicChange {
    name: String,
    partition_count: Option<u32>,
    configs: Vec<v1::ConfigEntry>,
    validate_only: bool,
}

impl TopicChange {
    /// A change of this topic, so far of nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// New number of partitions; more than now.
    #[must_use]
    pub const fn partitions(mut self, count: u32) -> Self {
        self.partition_count = Some(count);
        self
    }

    /// Gives a setting a new value, under Kafka's name of it. The cluster checks both.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push(v1::ConfigEntry { key: key.into(), value: Some(value.into()), is_default: false });
        self
    }

    /// Takes a setting back to its default.
    #[must_use]
    pub fn unset(mut self, key: impl Into<String>) -> Self {
        self.configs.push(v1::ConfigEntry { key: key.into(), value: None, is_default: false });
        self
    }

    /// Check everything, change nothing.
    #[must_use]
    pub const fn validate_only(mut self, only: bool) -> Self {
        self.validate_only = only;
        self
    }
}

/// A topic that was created.
#[derive(Clone, Debug)]
pub struct CreatedTopic {
    /// The topic; `None` for `validate_only`.
    pub topic: Option<TopicView>,
    /// What is allowed but risky.
    pub warnings: Vec<String>,
}

impl Admin {
    /// Creates a topic, and waits until a broker knows it.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, Error> {
        let request = v1::CreateTopicRequest {
            name: topic.name,
            partition_count: topic.partition_count,
            replication_factor: topic.replication_factor,
            configs: topic.configs,
            validate_only: topic.validate_only,
        };
        let deadline = self.deadline();
        let what = "CreateTopic";
        let (address, response) = self
            .retry(what, deadline, Repeat::IfNotDone, &request, |mut client, request| async move {
                client.create_topic(request).await
            })
            .await?;
        if topic.validate_only {
            return Ok(CreatedTopic { topic: None, warnings: response.warnings });
        }
        self.wait_for_index(response.index, deadline).await;
        let info =
            response.topic.ok_or(Error::Malformed { address: address.clone(), reason: "the topic is missing" })?;
        let topic = TopicView::from_message(info).map_err(|reason| Error::Malformed { address, reason })?;
        Ok(CreatedTopic { topic: Some(topic), warnings: response.warnings })
    }

    /// Deletes a topic and all of its records, whichever has this name by now.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        self.delete(v1::DeleteTopicRequest { name: name.to_owned(), ..Default::default() }).await
    }

    /// Deletes this topic and all of its records. Fails if another has its name by now, created after it was looked at.
    pub async fn delete_this_topic(&self, topic: &TopicView) -> Result<(), Error> {
        self.delete(v1::DeleteTopicRequest { name: topic.name.to_string(), topic_id: topic.id.to_bytes() }).await
    }

    async fn delete(&self, request: v1::DeleteTopicRequest) -> Result<(), Error> {
        let deadline = self.deadline();
        let (_, response) = self
            .retry("DeleteTopic", deadline, Repeat::IfNotDone, &request, |mut client, request| async move {
                client.delete_topic(request).await
            })
            .await?;
        self.wait_for_index(response.index, deadline).await;
        Ok(())
    }

    /// Changes a topic; gives back what is allowed but risky.
    pub async fn alter_topic(&self, change: TopicChange) -> Result<Vec<String>, Error> {
        let request = v1::AlterTopicRequest {
            name: change.name,
            configs: change.configs,
            partition_count: change.partition_count,
            validate_only: change.validate_only,
        };
        let deadline = self.deadline();
        let (_, response) = self
            .retry("AlterTopic", deadline, Repeat::IfNotDone, &request, |mut client, request| async move {
                client.alter_topic(request).await
            })
            .await?;
        if !change.validate_only {
            self.wait_for_index(response.index, deadline).await;
        }
        Ok(response.warnings)
    }

    /// All settings of a topic, defaults included.
    pub async fn topic_config(&self, name: &str) -> Result<Vec<v1::ConfigEntry>, Error> {
        let request = v1::DescribeTopicConfigRequest { name: name.to_owned() };
        let (_, response) = self
            .retry("DescribeTopicConfig", self.deadline(), Repeat::Read, &request, |mut client, request| async move {
                client.describe_topic_config(request).await
            })
            .await?;
        Ok(response.configs)
    }

    /// All topics, by name.
    pub async fn list_topics(&self) -> Result<Vec<TopicView>, Error> {
        let request = v1::GetMetadataRequest { all_topics: true, ..Default::default() };
        let (address, response) = self.metadata(&request).await?;
        let mut topics = response
            .topics
            .into_iter()
            .map(TopicView::from_message)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| Error::Malformed { address, reason })?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic as a broker knows it now.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicView, Error> {
        let request = v1::GetMetadataRequest { topics: vec![name.to_owned()], ..Default::default() };
        let (address, response) = self.metadata(&request).await?;
        let info = response.topics.into_iter().find(|topic| topic.name == name);
        let info = info.ok_or_else(|| Error::UnknownTopic(name.to_owned()))?;
        TopicView::from_message(info).map_err(|reason| Error::Malformed { address, reason })
    }

    /// Looks offsets up, each at its partition's leader; results in the order of the queries.
    pub async fn list_offsets(&self, queries: &[OffsetQuery]) -> Result<Vec<OffsetAt>, Error> {
        offsets::list(&self.client, queries, self.deadline()).await
    }

    /// As [`Self::list_offsets`], within this time, with what each look-up met last: a partition without a leader hides
    /// no other, nor does a topic that is unknown.
    pub async fn list_offsets_each(&self, queries: &[OffsetQuery], within: Duration) -> Vec<Result<OffsetAt, Error>> {
        offsets::list_each(&self.client, queries, Deadline::after(within)).await
    }

    pub(super) async fn metadata(
        &self,
        request: &v1::GetMetadataRequest,
    ) -> Result<(String, v1::GetMetadataResponse), Error> {
        self.retry("GetMetadata", self.deadline(), Repeat::Read, request, |mut client, request| async move {
            client.get_metadata(request).await
        })
        .await
    }
}
