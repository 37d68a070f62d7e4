//! The last resort of a partition without a leader: it goes on with a replica that may lack acknowledged records.

use holdfast_proto::{
    ids::{BrokerId, LeaderEpoch, MetadataIndex, Offset, PartitionEpoch, PartitionIndex},
    v1,
};

use super::{
    Admin,
    handle::Repeat,
    loss::{Loss, loss},
};
use crate::error::Error;

/// Which replica a partition without a leader is to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverPartition {
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
pub struct PartitionRecovery {
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
    /// Leader epoch of the last record below it; `None` if that was not known, or was not kept.
    pub high_watermark_epoch: Option<LeaderEpoch>,
    /// True if the high watermark was said before a recovery of the controllers: more may have been acknowledged since.
    pub high_watermark_is_old: bool,
    /// How far each replica reached, that of [`Self::broker`] among them, as the brokers had said, at most one each. Empty if
    /// it was not kept: before metadata version 3.
    pub claims: Vec<v1::ReplicaClaim>,
    /// The replicas that were believed and not there: what they hold alone is given up.
    pub absent: Vec<BrokerId>,
    /// When, ms since 1970 by the clock of the active controller.
    pub at_ms: u64,
    /// Index of the change in the metadata; 0 if it was only checked, or is one of the past.
    pub index: MetadataIndex,
}

impl PartitionRecovery {
    /// What of the acknowledged records is given up, as far as it can be told.
    pub fn loss(&self) -> Loss {
        let epoch = self.claim().and_then(|claim| claim.leader_epoch).map(LeaderEpoch);
        let known = loss(self.end, epoch, self.claim().is_some(), self.high_watermark, self.high_watermark_epoch);
        if self.high_watermark_is_old { known.at_least_since_recovery() } else { known }
    }

    /// What was known of the replica that was chosen.
    pub fn claim(&self) -> Option<&v1::ReplicaClaim> {
        self.claims.iter().find(|claim| claim.broker_id == self.broker.0)
    }

    /// What was known of the replicas that reached farther than the chosen one, by epoch and offset, or were not to be read.
    pub fn farther(&self) -> impl Iterator<Item = &v1::ReplicaClaim> {
        let own = self.claim().map(reach);
        let is_other = |claim: &&v1::ReplicaClaim| claim.broker_id != self.broker.0;
        self.claims.iter().filter(is_other).filter(move |claim| claim.unread || Some(reach(claim)) > own)
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
            high_watermark_epoch: message.high_watermark_epoch.map(LeaderEpoch),
            high_watermark_is_old: message.high_watermark_is_old,
            claims: message.claims,
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
    pub async fn plan_recovery(&self, recovery: &RecoverPartition) -> Result<PartitionRecovery, Error> {
        self.recover(recovery, true).await
    }

    /// Lets a partition without a leader go on with this replica, **whatever acknowledged records that lacks**. What is
    /// given up stays in the metadata of the cluster for ever. Refused while the partition has a leader, if the broker is not
    /// alive, or another live one reaches farther (`INVALID_REQUEST`), or if the partition has changed since it was looked at
    /// (`INVALID_UPDATE_VERSION`).
    pub async fn recover_partition(&self, recovery: &RecoverPartition) -> Result<PartitionRecovery, Error> {
        self.recover(recovery, false).await
    }

    async fn recover(&self, recovery: &RecoverPartition, validate_only: bool) -> Result<PartitionRecovery, Error> {
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
        Ok(PartitionRecovery::from_message(info, response.index))
    }
}

/// How far a replica reached.
const fn reach(claim: &v1::ReplicaClaim) -> (Option<u32>, u64) {
    (claim.leader_epoch, claim.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Doubt;

    #[test]
    fn what_is_given_up_goes_by_the_epoch_of_the_chosen_replica() {
        let claim = |broker_id, leader_epoch, end| v1::ReplicaClaim {
            broker_id,
            leader_epoch: Some(leader_epoch),
            end,
            ..Default::default()
        };
        let info = v1::RecoveryInfo {
            broker_id: 2,
            end: Some(12),
            high_watermark: Some(9),
            high_watermark_epoch: Some(5),
            claims: vec![claim(1, 4, 30), claim(2, 4, 12), claim(3, 5, 7)],
            ..Default::default()
        };
        let given_up = PartitionRecovery::from_message(info.clone(), 7);
        assert!(
            matches!(given_up.loss(), Loss::Unknown { at_least: Some((Offset(8), Offset(9))), .. }),
            "{given_up:?}"
        );
        let farther: Vec<_> = given_up.farther().map(|claim| claim.broker_id).collect();
        assert_eq!(farther, [1, 3]);
        let other = PartitionRecovery::from_message(v1::RecoveryInfo { broker_id: 3, end: Some(7), ..info }, 7);
        assert_eq!(other.loss(), Loss::Offsets(Offset(7), Offset(9)));
        assert_eq!(other.farther().count(), 0, "an older epoch reaches less far, wherever it ends");
    }

    #[test]
    fn a_high_watermark_of_before_the_controllers_were_recovered_proves_no_end() {
        let of = |end, high_watermark, high_watermark_is_old| {
            let claims = vec![v1::ReplicaClaim { broker_id: 2, leader_epoch: Some(5), end, ..Default::default() }];
            let epoch = Some(5);
            let info = v1::RecoveryInfo { broker_id: 2, end: Some(end), high_watermark, claims, ..Default::default() };
            let info = v1::RecoveryInfo { high_watermark_epoch: epoch, high_watermark_is_old, ..info };
            PartitionRecovery::from_message(info, 7).loss()
        };
        let unknown = |at_least| Loss::Unknown { at_least, why: Doubt::OldHighWatermark };
        assert_eq!((of(90, Some(80), false), of(90, Some(80), true)), (Loss::Nothing, unknown(None)));
        assert_eq!(of(60, Some(80), true), unknown(Some((Offset(60), Offset(80)))));
        assert_eq!(of(0, Some(0), true), unknown(None));
    }
}
