//! What is believed of disks, as messages, both ways.

use holdfast_metadata::trust::{Distrust, DistrustReason, LostDisk, PartitionRecovery, ReplicaClaim};
use holdfast_proto::{
    convert::{Error, leader_epoch, partition, required_id},
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicId},
    v1,
};

/// The reason as it travels.
pub const fn reason_to_message(reason: DistrustReason) -> v1::DistrustReason {
    match reason {
        DistrustReason::Folder => v1::DistrustReason::Folder,
        DistrustReason::Vanished => v1::DistrustReason::Vanished,
        DistrustReason::Damaged => v1::DistrustReason::Damaged,
        DistrustReason::Halted => v1::DistrustReason::Halted,
        DistrustReason::Short => v1::DistrustReason::Short,
    }
}

/// The reason that a message names; `None` if it names none, or one that this version does not know.
pub fn reason_from_message(reason: i32) -> Option<DistrustReason> {
    Some(match v1::DistrustReason::try_from(reason).ok()? {
        v1::DistrustReason::Unspecified | v1::DistrustReason::Unread => return None,
        v1::DistrustReason::Folder => DistrustReason::Folder,
        v1::DistrustReason::Vanished => DistrustReason::Vanished,
        v1::DistrustReason::Damaged => DistrustReason::Damaged,
        v1::DistrustReason::Halted => DistrustReason::Halted,
        v1::DistrustReason::Short => DistrustReason::Short,
    })
}

/// Replicas that are not believed, as they travel.
pub(crate) fn distrusted_to_messages(distrusted: &[Distrust]) -> Vec<v1::DistrustedReplica> {
    let one = |distrust: &Distrust| v1::DistrustedReplica {
        broker_id: distrust.broker_id.0,
        reason: reason_to_message(distrust.reason).into(),
    };
    distrusted.iter().map(one).collect()
}

/// Replicas that are not believed. A reason that this version does not know reads as another folder: the widest of them.
pub(crate) fn distrusted_from_messages(messages: Vec<v1::DistrustedReplica>) -> Vec<Distrust> {
    let one = |message: v1::DistrustedReplica| Distrust {
        broker_id: BrokerId(message.broker_id),
        reason: reason_from_message(message.reason).unwrap_or(DistrustReason::Folder),
    };
    messages.into_iter().map(one).collect()
}

/// What brokers said of their replicas, as it travels.
pub fn claims_to_messages(claims: &[ReplicaClaim]) -> Vec<v1::ReplicaClaim> {
    let one = |claim: &ReplicaClaim| v1::ReplicaClaim {
        broker_id: claim.broker_id.0,
        leader_epoch: claim.leader_epoch.map(|epoch| epoch.0),
        end: claim.end.0,
        doubtful: claim.doubtful,
        unread: claim.unread,
        not_held: claim.not_held,
    };
    claims.iter().map(one).collect()
}

/// What brokers said of their replicas. An error for an epoch out of range.
pub fn claims_from_messages(messages: Vec<v1::ReplicaClaim>) -> Result<Vec<ReplicaClaim>, Error> {
    let one = |message: v1::ReplicaClaim| {
        let leader_epoch = epoch_from_message(message.leader_epoch)?;
        let (broker_id, end) = (BrokerId(message.broker_id), Offset(message.end));
        let (doubtful, unread, not_held) = (message.doubtful, message.unread, message.not_held);
        Ok(ReplicaClaim { broker_id, leader_epoch, end, doubtful, unread, not_held })
    };
    messages.into_iter().map(one).collect()
}

/// A leader epoch that may be absent. An error if it is out of range.
pub fn epoch_from_message(epoch: Option<u32>) -> Result<Option<LeaderEpoch>, Error> {
    epoch.map(|epoch| leader_epoch(epoch, "leader_epoch")).transpose()
}

/// What an operator gave up, as it travels to brokers.
pub(crate) fn recovery_to_message(recovery: &PartitionRecovery) -> v1::RecoveryRecord {
    v1::RecoveryRecord {
        topic_id: TopicId::to_bytes(recovery.topic_id),
        topic: recovery.topic.clone(),
        partition: recovery.partition.0,
        broker_id: recovery.broker_id.0,
        leader_epoch: recovery.leader_epoch.0,
        end: recovery.end.map(|offset| offset.0),
        high_watermark: recovery.high_watermark.map(|offset| offset.0),
        absent: recovery.absent.iter().map(|broker| broker.0).collect(),
        at_ms: recovery.at_ms,
        high_watermark_epoch: recovery.high_watermark_epoch.map(|epoch| epoch.0),
        high_watermark_is_old: recovery.high_watermark_is_old,
        claims: claims_to_messages(&recovery.claims),
    }
}

/// What an operator gave up.
pub(crate) fn recovery_from_message(message: v1::RecoveryRecord) -> Result<PartitionRecovery, Error> {
    Ok(PartitionRecovery {
        topic_id: required_id(&message.topic_id, "topic_id")?,
        topic: message.topic,
        partition: partition(message.partition, "partition")?,
        broker_id: BrokerId(message.broker_id),
        leader_epoch: leader_epoch(message.leader_epoch, "leader_epoch")?,
        end: message.end.map(Offset),
        high_watermark: message.high_watermark.map(Offset),
        high_watermark_epoch: epoch_from_message(message.high_watermark_epoch)?,
        high_watermark_is_old: message.high_watermark_is_old,
        claims: claims_from_messages(message.claims)?,
        absent: message.absent.into_iter().map(BrokerId).collect(),
        at_ms: message.at_ms,
    })
}

/// What an operator gave up, as administration shows it.
pub fn recovery_info(recovery: &PartitionRecovery) -> v1::RecoveryInfo {
    v1::RecoveryInfo {
        topic: recovery.topic.clone(),
        partition: recovery.partition.0,
        broker_id: recovery.broker_id.0,
        leader_epoch: recovery.leader_epoch.0,
        end: recovery.end.map(|offset| offset.0),
        high_watermark: recovery.high_watermark.map(|offset| offset.0),
        absent: recovery.absent.iter().map(|broker| broker.0).collect(),
        at_ms: recovery.at_ms,
        high_watermark_epoch: recovery.high_watermark_epoch.map(|epoch| epoch.0),
        high_watermark_is_old: recovery.high_watermark_is_old,
        claims: claims_to_messages(&recovery.claims),
    }
}

/// A disk that was given up, as administration shows it.
pub fn lost_disk_info(lost: &LostDisk) -> v1::LostDiskInfo {
    v1::LostDiskInfo {
        broker_id: lost.broker_id.0,
        broker_epoch: lost.broker_epoch.0,
        replica_count: lost.replicas,
        eligible_count: lost.eligible,
        led_count: lost.led,
        at_ms: lost.at_ms,
    }
}

/// A disk that was given up.
pub fn lost_disk(info: v1::LostDiskInfo) -> LostDisk {
    LostDisk {
        broker_id: BrokerId(info.broker_id),
        broker_epoch: BrokerEpoch(info.broker_epoch),
        replicas: info.replica_count,
        eligible: info.eligible_count,
        led: info.led_count,
        at_ms: info.at_ms,
    }
}
