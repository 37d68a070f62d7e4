//! From a topic's name and a partition to the replica that is open here, or a named error that says where to go.

use holdfast_metadata::{Image, PartitionState, Topic};
use holdfast_proto::{
    convert::check_topic_name,
    detail::{ErrorDetail, LeaderHint},
    error::ErrorCode,
    ids::{BrokerId, MetadataIndex, PartitionIndex, TopicId, TopicPartition},
};

use crate::{here::context::Context, partition::OpenReplica};

/// A partition that a client names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Name of its topic.
    pub topic: &'a str,
    /// Id of its topic, if the client knows it.
    pub topic_id: Option<TopicId>,
    /// Index within the topic, from 0.
    pub partition: PartitionIndex,
}

/// The topic of this name, if it is the one that is meant.
pub(super) fn topic<'i>(image: &'i Image, name: &str, topic_id: Option<TopicId>) -> Result<&'i Topic, ErrorDetail> {
    if image.index() == MetadataIndex(0) {
        let message = "this broker has not heard from the controllers yet; retry, or ask another broker";
        return Err(ErrorDetail::new(ErrorCode::BrokerNotAvailable, message));
    }
    check_topic_name(name)?;
    let Some(topic) = image.topic_by_name(name) else {
        let message = format!("unknown topic '{name}'; check the name, or create it");
        return Err(ErrorDetail::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    match topic_id {
        Some(expected) if expected != topic.topic_id() => {
            let message =
                format!("topic '{name}' has the id {}, not {expected}: it was created again", topic.topic_id());
            Err(ErrorDetail::new(ErrorCode::UnknownTopicId, message))
        }
        _ => Ok(topic),
    }
}

/// The partition's state in the metadata.
pub(super) fn state(topic: &Topic, partition: PartitionIndex) -> Result<&PartitionState, ErrorDetail> {
    topic.partition(partition).ok_or_else(|| {
        let count = topic.partitions().len();
        let message = format!("unknown partition '{partition}' of {}; it has {count}, from 0", topic.name());
        ErrorDetail::new(ErrorCode::UnknownTopicOrPartition, message)
    })
}

/// The replica of the partition that is open here, with the size limit of its batches.
pub(super) fn replica(context: &Context, named: &Named<'_>) -> Result<(OpenReplica, usize), ErrorDetail> {
    let image = context.metadata.look();
    let topic = topic(&image, named.topic, named.topic_id)?;
    let state = state(topic, named.partition)?;
    let id = TopicPartition { topic_id: topic.topic_id(), partition: named.partition };
    match context.partitions.get(id) {
        Some(replica) => Ok((replica, topic.config().max_message_bytes as usize)),
        None => Err(refer_to_leader(&image, state, context.identity.broker_id)),
    }
}

/// The error of a partition that is not open at `own`: it says who leads it, if anybody does. Never sends a caller back to
/// where it asked.
fn refer_to_leader(image: &Image, state: &PartitionState, own: BrokerId) -> ErrorDetail {
    match hint(image, state) {
        Some(leader) if leader.broker_id == own => {
            let message = "this broker leads the partition and has not opened it yet; retry in a moment";
            ErrorDetail::new(ErrorCode::LeaderNotAvailable, message)
        }
        Some(leader) => elsewhere(leader),
        None => ErrorCode::LeaderNotAvailable.into(),
    }
}

/// The error of a partition that another broker leads.
pub(super) fn elsewhere(leader: LeaderHint) -> ErrorDetail {
    let message = format!("broker {} at {} leads this partition; ask it", leader.broker_id, leader.address);
    ErrorDetail::new(ErrorCode::NotLeaderOrFollower, message).with_leader(leader)
}

/// Where the partition is led, if that is another broker.
pub(super) fn other_leader(context: &Context, topic: &str, partition: PartitionIndex) -> Option<LeaderHint> {
    let image = context.metadata.look();
    let state = image.topic_by_name(topic)?.partition(partition)?;
    hint(&image, state).filter(|leader| leader.broker_id != context.identity.broker_id)
}

/// Refuses a topic of another id than the one that is named, before its leader is asked.
pub(super) fn check_id(context: &Context, named: &Named<'_>) -> Result<(), ErrorDetail> {
    topic(&context.metadata.look(), named.topic, named.topic_id).map(|_| ())
}

/// What was asked of the leader for a caller, and not answered. Reads alone: nothing is in doubt.
pub(super) fn not_reached(leader: &LeaderHint, detail: &ErrorDetail) -> ErrorDetail {
    let message = format!(
        "broker {} at {}, which leads this partition, did not answer ({}); retry, or ask it",
        leader.broker_id, leader.address, detail.message
    );
    ErrorDetail::new(ErrorCode::BrokerNotAvailable, message).with_leader(leader.clone())
}

/// Where the leader is.
fn hint(image: &Image, state: &PartitionState) -> Option<LeaderHint> {
    let leader = image.broker(state.leader?)?;
    let address = leader.client_address.clone();
    Some(LeaderHint { broker_id: leader.broker_id, leader_epoch: state.leader_epoch, address })
}

/// An error of a partition that is open here; where it is about leadership, with the leader's place.
pub(super) fn explain(context: &Context, id: TopicPartition, code: ErrorCode) -> ErrorDetail {
    let about_leadership = matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::OutcomeUnknown
    );
    let detail = ErrorDetail::from(code);
    if !about_leadership {
        return detail;
    }
    let image = context.metadata.look();
    // Not to itself: if the metadata still names this broker, the client has to look again.
    let leader = image.partition(id).and_then(|state| hint(&image, state));
    match leader.filter(|leader| leader.broker_id != context.identity.broker_id) {
        Some(leader) if code == ErrorCode::NotLeaderOrFollower => elsewhere(leader),
        Some(leader) => detail.with_leader(leader),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{BrokerRegistration, Record, VersionRange};
    use holdfast_proto::ids::{BrokerEpoch, DirectoryId, IncarnationId};

    use super::*;

    fn image() -> Image {
        let broker = |id: u32| {
            Record::Broker(BrokerRegistration {
                broker_id: BrokerId(id),
                broker_epoch: BrokerEpoch(1),
                incarnation_id: IncarnationId(uuid::Uuid::from_u128(id.into())),
                directory_id: DirectoryId(uuid::Uuid::from_u128(id.into())),
                boot_counter: 1,
                client_address: format!("b{id}:9092"),
                peer_address: format!("b{id}:9093"),
                rack: None,
                fenced: false,
                shutting_down: false,
                token: None,
                versions: VersionRange::from_numbers(1, 1),
            })
        };
        Image::from_records(MetadataIndex(3), &[broker(1), broker(2)]).expect("a valid image")
    }

    #[test]
    fn nobody_is_sent_to_where_it_asked() {
        let (image, state) = (image(), PartitionState { leader: Some(BrokerId(1)), ..PartitionState::default() });
        let own = refer_to_leader(&image, &state, BrokerId(1));
        assert_eq!((own.code, own.retriable, own.leader), (ErrorCode::LeaderNotAvailable, true, None));
        let other = refer_to_leader(&image, &state, BrokerId(2));
        assert_eq!(other.code, ErrorCode::NotLeaderOrFollower);
        assert!(other.message.contains("broker 1 at b1:9092"), "{other}");
        assert_eq!(other.leader.map(|leader| leader.broker_id), Some(BrokerId(1)));
    }
}
