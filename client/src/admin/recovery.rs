//! The last resort of a partition without a leader: it goes on with a replica that may lack acknowledged records.

use holdfast_proto::{
    ids::{BrokerId, LeaderEpoch, MetadataIndex, Offset, PartitionEpoch, PartitionIndex},
    v1,
};

use super::{Admin, handle::Repeat};
use crate::error::Error;

/// Which replica a partition without a leader is to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Name of the topic.
    pub topic: String,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// The broker whose replica it is to go on with; it has to be alive.
    pub broker: BrokerId,
    /// The state that was looked at; the cluster refuses if it has changed since.
    pub partition_epoch: PartitionEpoch,
}

/// What is given up so that a partition goes on, as the cluster keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Name of the topic at the time.
    pub topic: String,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// The broker whose replica the partition goes on with.
    pub broker: BrokerId,
    /// The leader epoch that begins with it.
    pub leader_epoch: LeaderEpoch,
    /// Where the log of that replica ended, as its broker had said; `None` if it had said nothing.
    pub end: Option<Offset>,
    /// The high watermark that was known. Everything below it was acknowledged or may have been; `None` if none was known.
    pub high_watermark: Option<Offset>,
    /// The replicas that were believed and not there: what they hold alone is given up.
    pub absent: Vec<BrokerId>,
    /// When, ms since 1970 by the clock of the active controller.
    pub at_ms: u64,
    /// Index of the change in the metadata; 0 if it was only checked, or is one of the past.
    pub index: MetadataIndex,
}

impl GivenUp {
    /// The offsets that were acknowledged and are given up, the first and the one after the last; `None` if that is not
    /// known. Empty (both the same) if the replica reaches the high watermark.
    pub fn offsets(&self) -> Option<(Offset, Offset)> {
        let (end, high_watermark) = (self.end?, self.high_watermark?);
        Some((end, high_watermark.max(end)))
    }

    /// What a message of the cluster's status says, or of the recovery itself.
    pub fn from_message(message: v1::RecoveryInfo, index: u64) -> Self {
        Self {
            topic: message.topic,
            partition: PartitionIndex(message.partition),
            broker: BrokerId(message.broker_id),
            leader_epoch: LeaderEpoch(message.leader_epoch),
            end: message.end.map(Offset),
            high_watermark: message.high_watermark.map(Offset),
            absent: message.absent.into_iter().map(BrokerId).collect(),
            at_ms: message.at_ms,
            index: MetadataIndex(index),
        }
    }
}

impl Admin {
    /// One partition as a broker knows it now, with what is believed of its replicas.
    pub async fn describe_partition(&self, topic: &str, partition: PartitionIndex) -> Result<v1::PartitionInfo, Error> {
        let topics = self.describe_partitions(vec![topic.to_owned()]).await?;
        let partitions: Vec<_> = topics.into_iter().flat_map(|one| one.partitions).collect();
        let count = partitions.len();
        partitions.into_iter().find(|one| one.partition == partition.0).ok_or_else(|| Error::UnknownPartition {
            topic: topic.to_owned(),
            partition: partition.0,
            count,
        })
    }

    /// The partitions of these topics as a broker knows them now, with what is believed of their replicas; of all topics if
    /// none is named. By name. [`Error::UnknownTopic`] names the first that is unknown.
    pub async fn describe_partitions(&self, topics: Vec<String>) -> Result<Vec<v1::TopicInfo>, Error> {
        let request = v1::GetMetadataRequest { all_topics: topics.is_empty(), topics, ..Default::default() };
        let (_, response) = self.metadata(&request).await?;
        let is_known = |name: &&String| response.topics.iter().any(|known| known.name == **name);
        if let Some(unknown) = request.topics.iter().find(|name| !is_known(name)) {
            return Err(Error::UnknownTopic(unknown.clone()));
        }
        let mut topics = response.topics;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// What [`Self::recover_partition`] would give up; the error says why it cannot be done.
    pub async fn plan_recovery(&self, recovery: &Recovery) -> Result<GivenUp, Error> {
        self.recover(recovery, true).await
    }

    /// Lets a partition without a leader go on with this replica, **whatever acknowledged records that lacks**. What is
    /// given up stays in the metadata of the cluster for ever. Refused while the partition has a leader
    /// (`INVALID_REQUEST`), if the broker is not alive (`INELIGIBLE_REPLICA`), or if the partition has changed since it was
    /// looked at (`INVALID_UPDATE_VERSION`).
    pub async fn recover_partition(&self, recovery: &Recovery) -> Result<GivenUp, Error> {
        self.recover(recovery, false).await
    }

    async fn recover(&self, recovery: &Recovery, validate_only: bool) -> Result<GivenUp, Error> {
        let request = v1::RecoverPartitionRequest {
            topic: recovery.topic.clone(),
            partition: recovery.partition.0,
            broker_id: recovery.broker.0,
            partition_epoch: recovery.partition_epoch.0,
            validate_only,
        };
        let repeat = if validate_only { Repeat::Read } else { Repeat::IfNotDone };
        let deadline = self.deadline();
        let (address, response) = self
            .retry("RecoverPartition", deadline, repeat, &request, |mut client, request| async move {
                client.recover_partition(request).await
            })
            .await?;
        let info = response.recovery.ok_or(Error::Malformed { address, reason: "what is given up is missing" })?;
        if !validate_only {
            self.wait_for_index(response.index, deadline).await;
        }
        Ok(GivenUp::from_message(info, response.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_named_as_far_as_it_is_known() {
        let given_up = |end, high_watermark| {
            GivenUp::from_message(v1::RecoveryInfo { end, high_watermark, ..Default::default() }, 7).offsets()
        };
        assert_eq!(given_up(Some(3), Some(9)), Some((Offset(3), Offset(9))));
        assert_eq!(given_up(Some(9), Some(3)), Some((Offset(9), Offset(9))), "nothing");
        assert_eq!(given_up(None, Some(3)), None);
        assert_eq!(given_up(Some(3), None), None);
    }
}
