//! The last resorts of a partition and of a broker's disk as messages.

use holdfast_metadata::trust::LostDisk;
use holdfast_metadata_wire::{records::ids, trust};
use holdfast_proto::{
    convert::{Error, leader_epoch, partition, required},
    ids::{BrokerEpoch, BrokerId, MetadataIndex, Offset, PartitionEpoch},
    v1,
};

use crate::services::admin::recovery::{DiskOrder, GivenUp, RecoveredPartition, RecoveryOrder};

/// What a client asks for.
pub(crate) fn order(request: v1::RecoverPartitionRequest) -> Result<RecoveryOrder, Error> {
    Ok(RecoveryOrder {
        topic: request.topic,
        partition: partition(request.partition, "partition")?,
        broker_id: BrokerId(request.broker_id),
        partition_epoch: PartitionEpoch(request.partition_epoch),
        validate_only: request.validate_only,
    })
}

/// The request to the active controller.
pub(crate) fn request(order: RecoveryOrder) -> v1::RecoverPartitionRequest {
    v1::RecoverPartitionRequest {
        topic: order.topic,
        partition: order.partition.0,
        broker_id: order.broker_id.0,
        partition_epoch: order.partition_epoch.0,
        validate_only: order.validate_only,
    }
}

/// What the active controller answers.
pub(crate) fn recovered(answer: v1::RecoverPartitionResponse) -> Result<RecoveredPartition, Error> {
    let given_up = given_up(required(answer.recovery, "recovery")?)?;
    Ok(RecoveredPartition { given_up, index: MetadataIndex(answer.index) })
}

/// The answer to the client.
pub(crate) fn answer(done: RecoveredPartition) -> v1::RecoverPartitionResponse {
    v1::RecoverPartitionResponse { recovery: Some(given_up_message(done.given_up)), index: done.index.0 }
}

/// The disk that a client gives up.
pub(crate) fn disk_order(request: v1::LoseDiskRequest) -> DiskOrder {
    let v1::LoseDiskRequest { broker_id, broker_epoch, validate_only } = request;
    DiskOrder { broker_id: BrokerId(broker_id), broker_epoch: BrokerEpoch(broker_epoch), validate_only }
}

/// The request to the active controller.
pub(crate) fn disk_request(order: DiskOrder) -> v1::LoseDiskRequest {
    let DiskOrder { broker_id, broker_epoch, validate_only } = order;
    v1::LoseDiskRequest { broker_id: broker_id.0, broker_epoch: broker_epoch.0, validate_only }
}

/// What the active controller answers.
pub(crate) fn lost_disk(answer: v1::LoseDiskResponse) -> Result<(LostDisk, MetadataIndex), Error> {
    Ok((trust::lost_disk(required(answer.lost, "lost")?), MetadataIndex(answer.index)))
}

/// The answer to the client.
pub(crate) fn disk_answer((lost, index): (LostDisk, MetadataIndex)) -> v1::LoseDiskResponse {
    v1::LoseDiskResponse { index: index.0, lost: Some(trust::lost_disk_info(&lost)) }
}

pub(super) fn given_up(info: v1::RecoveryInfo) -> Result<GivenUp, Error> {
    Ok(GivenUp {
        topic: info.topic,
        partition: partition(info.partition, "recovery.partition")?,
        broker_id: BrokerId(info.broker_id),
        leader_epoch: leader_epoch(info.leader_epoch, "recovery.leader_epoch")?,
        end: info.end.map(Offset),
        high_watermark: info.high_watermark.map(Offset),
        high_watermark_epoch: trust::epoch_from_message(info.high_watermark_epoch)?,
        high_watermark_is_old: info.high_watermark_is_old,
        claims: trust::claims_from_messages(info.claims)?,
        absent: info.absent.into_iter().map(BrokerId).collect(),
        at_ms: info.at_ms,
    })
}

pub(super) fn given_up_message(given_up: GivenUp) -> v1::RecoveryInfo {
    v1::RecoveryInfo {
        topic: given_up.topic,
        partition: given_up.partition.0,
        broker_id: given_up.broker_id.0,
        leader_epoch: given_up.leader_epoch.0,
        end: given_up.end.map(|offset| offset.0),
        high_watermark: given_up.high_watermark.map(|offset| offset.0),
        absent: ids(&given_up.absent),
        at_ms: given_up.at_ms,
        high_watermark_epoch: given_up.high_watermark_epoch.map(|epoch| epoch.0),
        high_watermark_is_old: given_up.high_watermark_is_old,
        claims: trust::claims_to_messages(&given_up.claims),
    }
}
