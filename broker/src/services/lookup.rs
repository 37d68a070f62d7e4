//! From a topic's name and a partition to the replica that is open here, or a named error that says where to go.

use holdfast_metadata::{Image, PartitionState, Topic};
use holdfast_proto::{
    detail::{ErrorDetail, LeaderHint},
    error::ErrorCode,
    ids::{MetadataIndex, PartitionIndex, TopicId, TopicPartition},
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
        None => Err(refer_to_leader(&image, state)),
    }
}

/// The error of a partition that is not open here: it says who leads it, if anybody does.
fn refer_to_leader(image: &Image, state: &PartitionState) -> ErrorDetail {
    match hint(image, state) {
        Some(leader) => {
            let message = format!("broker {} leads this partition; ask it", leader.broker_id);
            ErrorDetail::new(ErrorCode::NotLeaderOrFollower, message).with_leader(leader)
        }
        None => ErrorCode::LeaderNotAvailable.into(),
    }
}

/// Where the leader is.
pub(super) fn hint(image: &Image, state: &PartitionState) -> Option<LeaderHint> {
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
        Some(leader) => detail.with_leader(leader),
        None => detail,
    }
}
