//! The image as administration shows it, on brokers and on controllers.

use std::{cmp::Reverse, collections::HashSet, hash::Hash};

use bytes::Bytes;

use holdfast_metadata::{BrokerRegistration, Image, PartitionState, Topic, config::Setting, status::PartitionHealth};
use holdfast_proto::{
    convert::{self, Error},
    ids::{BrokerId, Offset, PartitionEpoch, PartitionIndex, TopicId},
    v1::{
        BrokerInfo, ConfigEntry, GetMetadataRequest, GetMetadataResponse, PartitionInfo, TopicInfo, TroubledPartition,
    },
};

use crate::{records::ids, trust};

/// Brokers, and the topics that were asked for: each once, however often it was named.
pub fn metadata(image: &Image, request: &GetMetadataRequest) -> GetMetadataResponse {
    let (mut unknown_topics, mut unknown_topic_ids) = (Vec::new(), Vec::new());
    if !request.all_topics {
        let unknown = |name: &&String| image.topic_by_name(name).is_none();
        unknown_topics.extend(each_once(&request.topics).filter(unknown).cloned());
        let unknown = |id: &&Bytes| topic_by_id(image, id).is_none();
        unknown_topic_ids.extend(each_once(&request.topic_ids).filter(unknown).cloned());
    }
    GetMetadataResponse {
        cluster_id: image.cluster_id().map(holdfast_proto::ids::ClusterId::to_bytes).unwrap_or_default(),
        index: image.index().0,
        brokers: brokers(image),
        topics: asked_for(image, request).into_iter().map(topic).collect(),
        unknown_topics,
        unknown_topic_ids,
    }
}

/// Bytes that a request takes up in memory, about: an entry and its own bytes for each that it names.
pub fn request_bytes(request: &GetMetadataRequest) -> usize {
    request.topics.iter().map(name_bytes).chain(request.topic_ids.iter().map(id_bytes)).sum()
}

fn name_bytes(name: &String) -> usize {
    size_of_val(name) + name.len()
}

fn id_bytes(id: &Bytes) -> usize {
    size_of_val(id) + id.len()
}

/// Bytes that [`metadata`] takes up in memory, about: what is known, and what is named and is not.
pub fn metadata_bytes(image: &Image, request: &GetMetadataRequest) -> usize {
    let topic = |topic: &Topic| {
        let replicas = topic.partitions().next().map_or(0, |(_, state)| state.replicas.len());
        topic.name().len()
            + size_of::<TopicInfo>()
            + topic.partitions().len() * (size_of::<PartitionInfo>() + 3 * replicas * size_of::<u32>())
    };
    let known: usize = asked_for(image, request).into_iter().map(topic).sum();
    let names = each_once(&request.topics).filter(|name| image.topic_by_name(name).is_none());
    let ids = each_once(&request.topic_ids).filter(|id| topic_by_id(image, id).is_none());
    let unknown = names.map(name_bytes).chain(ids.map(id_bytes)).sum::<usize>();
    image.brokers().len() * BROKER_BYTES + known + unknown
}

/// Bytes of a broker's part of an answer: two addresses, a rack, numbers.
const BROKER_BYTES: usize = 512;

/// The topics that a request names, each once.
fn asked_for<'i>(image: &'i Image, request: &GetMetadataRequest) -> Vec<&'i Topic> {
    if request.all_topics {
        return image.topics_by_name().collect();
    }
    let by_name = request.topics.iter().filter_map(|name| image.topic_by_name(name));
    let by_id = request.topic_ids.iter().filter_map(|id| topic_by_id(image, id));
    let mut seen = HashSet::new();
    by_name.chain(by_id).filter(|topic| seen.insert(topic.topic_id())).collect()
}

fn topic_by_id<'i>(image: &'i Image, id: &[u8]) -> Option<&'i Topic> {
    TopicId::from_bytes(id).and_then(|topic_id| image.topic(topic_id))
}

/// What is named, in its order.
fn each_once<T: Eq + Hash>(named: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = HashSet::new();
    named.iter().filter(move |one| seen.insert(*one))
}

/// Every setting of a topic.
pub fn configs(topic: &Topic) -> Vec<ConfigEntry> {
    topic.settings().into_iter().map(setting).collect()
}

/// One setting of a topic.
pub fn setting(setting: Setting) -> ConfigEntry {
    ConfigEntry { key: setting.key.to_owned(), value: Some(setting.value), is_default: setting.is_default }
}

/// A topic that was created, or would be (then without an id).
pub fn created(name: String, topic_id: Option<TopicId>, partitions: &[PartitionState]) -> TopicInfo {
    TopicInfo {
        name,
        topic_id: topic_id.map(TopicId::to_bytes).unwrap_or_default(),
        partitions: (0..).zip(partitions).map(|(index, state)| partition(PartitionIndex(index), state)).collect(),
    }
}

fn topic(topic: &Topic) -> TopicInfo {
    TopicInfo {
        name: topic.name().to_owned(),
        topic_id: topic.topic_id().to_bytes(),
        partitions: topic.partitions().map(|(index, state)| partition(index, state)).collect(),
    }
}

/// A partition and its state.
pub fn partition(index: PartitionIndex, state: &PartitionState) -> PartitionInfo {
    PartitionInfo {
        partition: index.0,
        leader: state.leader.map(|leader| leader.0),
        leader_epoch: state.leader_epoch.0,
        partition_epoch: state.partition_epoch.0,
        replicas: ids(&state.replicas),
        isr: ids(&state.isr),
        elr: ids(&state.elr),
        adding_replicas: ids(&state.adding),
        removing_replicas: ids(&state.removing),
        frozen_high_watermark: state.frozen_high_watermark.map(|offset| offset.0),
        frozen_leader_epoch: state.frozen_leader_epoch.map(|epoch| epoch.0),
        claims: trust::claims_to_messages(&state.claims),
        distrusted: trust::distrusted_to_messages(&state.distrusted),
        unsettled: state.unsettled,
        found_replicas: ids(&state.found),
    }
}

/// The partition and its state that a message holds.
pub fn partition_from_message(info: PartitionInfo) -> Result<(PartitionIndex, PartitionState), Error> {
    let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
    let state = PartitionState {
        leader: info.leader.map(BrokerId),
        leader_epoch: convert::leader_epoch(info.leader_epoch, "leader_epoch")?,
        partition_epoch: PartitionEpoch(info.partition_epoch),
        replicas: ids(info.replicas),
        isr: ids(info.isr),
        elr: ids(info.elr),
        adding: ids(info.adding_replicas),
        removing: ids(info.removing_replicas),
        frozen_high_watermark: info.frozen_high_watermark.map(Offset),
        frozen_leader_epoch: info
            .frozen_leader_epoch
            .map(|epoch| convert::leader_epoch(epoch, "frozen_leader_epoch"))
            .transpose()?,
        frozen_in: None, // the controllers alone elect by it
        claims: trust::claims_from_messages(info.claims)?,
        distrusted: trust::distrusted_from_messages(info.distrusted),
        unsettled: info.unsettled,
        found: ids(info.found_replicas),
    };
    Ok((convert::partition(info.partition, "partition")?, state))
}

/// The partitions that are not as they should be, worst first, then by name; at most `limit`. Last those that miss nothing yet,
/// but have a replica that is not believed (one that a move brings in is missed by nobody), or a stray that may hold more.
pub fn troubled(image: &Image, limit: usize) -> Vec<TroubledPartition> {
    let partitions = image.topics_by_name().flat_map(|topic| {
        topic.partitions().map(move |(index, state)| (Reverse(topic.health(state)), topic, index, state))
    });
    let is_troubled = |health: PartitionHealth, state: &PartitionState| {
        health != PartitionHealth::Healthy || !state.distrusted.is_empty() || state.strays().next().is_some()
    };
    let mut found: Vec<_> = partitions.filter(|(health, _, _, state)| is_troubled(health.0, state)).collect();
    // Stable: those of equal health stay by name and index.
    found.sort_by_key(|(health, ..)| *health);
    found.truncate(limit);
    let gone = |replica: &&BrokerId| image.broker(**replica).is_none_or(|broker| broker.fenced);
    let troubled = found.into_iter().map(|(_, topic, index, state)| TroubledPartition {
        topic: topic.name().to_owned(),
        partition: Some(partition(index, state)),
        min_insync_replicas: topic.config().min_insync_replicas,
        missing_replicas: state.replicas.iter().filter(gone).map(|replica| replica.0).collect(),
    });
    troubled.collect()
}

/// The registered brokers, with what they carry.
pub fn brokers(image: &Image) -> Vec<BrokerInfo> {
    image.brokers().values().map(|registration| broker(image, registration)).collect()
}

fn broker(image: &Image, broker: &BrokerRegistration) -> BrokerInfo {
    let load = image.load(broker.broker_id);
    BrokerInfo {
        broker_id: broker.broker_id.0,
        client_address: broker.client_address.clone(),
        peer_address: broker.peer_address.clone(),
        rack: broker.rack.clone().unwrap_or_default(),
        fenced: broker.fenced,
        shutting_down: broker.shutting_down,
        broker_epoch: broker.broker_epoch.0,
        draining: image.is_draining(broker.broker_id),
        replica_count: load.replicas,
        leader_count: load.leaders,
        min_metadata_version: broker.versions.min.0,
        max_metadata_version: broker.versions.max.0,
        // A heartbeat says it, and no record.
        clock_distrust: None,
        damaged: None,
        unopened: None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_metadata::{
        Record,
        trust::{Distrust, DistrustReason},
    };

    use super::*;

    #[test]
    fn a_replica_that_is_not_believed_is_told_though_nobody_misses_it() {
        let topic_id = TopicId(Uuid::from_u128(1));
        let [one, two] = [BrokerId(1), BrokerId(2)];
        let mut image = Image::default();
        image.apply(&Record::Topic { topic_id, name: "t".to_owned() }).unwrap();
        let moving = PartitionState {
            leader: Some(one),
            leader_epoch: holdfast_proto::ids::LeaderEpoch(1),
            replicas: vec![two, one],
            isr: vec![one],
            adding: vec![two],
            removing: vec![one],
            ..PartitionState::default()
        };
        let record = |partition, state| Record::Partition { topic_id, partition: PartitionIndex(partition), state };
        image.apply(&record(0, moving.clone())).unwrap();
        assert!(troubled(&image, 9).is_empty());
        let distrusted = vec![Distrust { broker_id: two, reason: DistrustReason::Damaged }];
        image.apply(&record(1, PartitionState { distrusted, ..moving })).unwrap();
        let found: Vec<_> = troubled(&image, 9).into_iter().filter_map(|one| one.partition).collect();
        assert_eq!((found.len(), found[0].partition, found[0].distrusted.len()), (1, 1, 1));
    }

    #[test]
    fn a_topic_is_told_once_however_often_it_is_named() {
        let (topic_id, other) = (TopicId(Uuid::from_u128(1)), TopicId(Uuid::from_u128(2)));
        let mut image = Image::default();
        let topic = Record::Topic { topic_id, name: "t".to_owned() };
        let state = PartitionState { leader_epoch: holdfast_proto::ids::LeaderEpoch(1), ..PartitionState::default() };
        let partition = Record::Partition { topic_id, partition: PartitionIndex(0), state };
        for record in [topic, partition] {
            image.apply(&record).unwrap();
        }
        let request = GetMetadataRequest {
            topics: ["t", "u"].repeat(1_000).into_iter().map(str::to_owned).collect(),
            topic_ids: [topic_id, other].repeat(1_000).into_iter().map(TopicId::to_bytes).collect(),
            ..Default::default()
        };
        let answer = metadata(&image, &request);
        assert_eq!((answer.topics.len(), answer.topics[0].partitions.len()), (1, 1));
        assert_eq!((answer.unknown_topics, answer.unknown_topic_ids), (vec!["u".to_owned()], vec![other.to_bytes()]));
        let one = GetMetadataRequest { topics: vec!["t".to_owned()], ..Default::default() };
        let unknown = name_bytes(&"u".to_owned()) + id_bytes(&other.to_bytes());
        assert_eq!(metadata_bytes(&image, &request), metadata_bytes(&image, &one) + unknown);
    }
}
