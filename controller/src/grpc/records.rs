//! Metadata as it travels to brokers.

use holdfast_metadata::{Image, PartitionState, Record};
use holdfast_proto::{
    ids::BrokerId,
    v1::{
        BrokerRecord, ConfigEntry, MetadataDelta, MetadataRecord, MetadataSnapshot, PartitionRecord,
        PartitionStateMessage, RemoveBrokerRecord, RemoveTopicRecord, TopicConfigRecord, TopicRecord,
        metadata_record::Record as Wire,
    },
};

use crate::view::Delta;

/// The whole image.
pub(super) fn snapshot(image: &Image) -> MetadataSnapshot {
    MetadataSnapshot { index: image.index().0, records: travelling(&image.records()) }
}

/// The records of one index; none travel for an entry that only concerns the controllers.
pub(super) fn delta(delta: &Delta) -> MetadataDelta {
    MetadataDelta { index: delta.index.0, records: travelling(&delta.records) }
}

fn travelling(records: &[Record]) -> Vec<MetadataRecord> {
    records.iter().filter_map(|record| wire(record).map(|record| MetadataRecord { record: Some(record) })).collect()
}

/// The record as it travels; `None` if it does not.
fn wire(record: &Record) -> Option<Wire> {
    Some(match record {
        Record::Broker(broker) => Wire::Broker(BrokerRecord {
            broker_id: broker.broker_id.0,
            broker_epoch: broker.broker_epoch.0,
            incarnation_id: broker.incarnation_id.to_bytes(),
            directory_id: broker.directory_id.to_bytes(),
            boot_counter: broker.boot_counter,
            client_address: broker.client_address.clone(),
            peer_address: broker.peer_address.clone(),
            rack: broker.rack.clone().unwrap_or_default(),
            fenced: broker.fenced,
            shutting_down: broker.shutting_down,
        }),
        Record::RemoveBroker { broker_id } => Wire::RemoveBroker(RemoveBrokerRecord { broker_id: broker_id.0 }),
        Record::Topic { topic_id, name } => {
            Wire::Topic(TopicRecord { name: name.clone(), topic_id: topic_id.to_bytes() })
        }
        Record::RemoveTopic { topic_id } => Wire::RemoveTopic(RemoveTopicRecord { topic_id: topic_id.to_bytes() }),
        Record::TopicConfig { topic_id, configs } => {
            let entry = |(key, value): (&String, &String)| ConfigEntry {
                key: key.clone(),
                value: Some(value.clone()),
                is_default: false,
            };
            Wire::TopicConfig(TopicConfigRecord {
                topic_id: topic_id.to_bytes(),
                configs: configs.iter().map(entry).collect(),
            })
        }
        Record::Partition { topic_id, partition, state } => Wire::Partition(PartitionRecord {
            topic_id: topic_id.to_bytes(),
            state: Some(partition_state(state)),
            partition: partition.0,
        }),
        Record::Cluster { .. } | Record::NextProducerId { .. } | Record::NextBrokerEpoch { .. } => return None,
    })
}

/// A partition's state.
pub(super) fn partition_state(state: &PartitionState) -> PartitionStateMessage {
    PartitionStateMessage {
        leader: state.leader.map(|leader| leader.0),
        leader_epoch: state.leader_epoch.0,
        partition_epoch: state.partition_epoch.0,
        replicas: ids(&state.replicas),
        isr: ids(&state.isr),
        elr: ids(&state.elr),
    }
}

/// Broker ids.
pub(super) fn ids(brokers: &[BrokerId]) -> Vec<u32> {
    brokers.iter().map(|broker| broker.0).collect()
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{Command, CreateTopic, apply_command};
    use holdfast_proto::ids::{MetadataIndex, TopicId};

    use super::*;

    #[test]
    fn what_travels_is_what_the_machine_says() {
        let mut image = Image::default();
        let command = Command::CreateTopic(CreateTopic {
            name: "t".to_owned(),
            topic_id: TopicId(uuid::Uuid::from_u128(1)),
            partition_count: 1,
            replication_factor: 1,
            configs: std::collections::BTreeMap::default(),
        });
        // Refused, for there is no broker: the delta still tells the index.
        let outcome = apply_command(&mut image, MetadataIndex(1), &command);
        let sent = delta(&Delta { index: MetadataIndex(1), records: outcome.records.into() });
        assert_eq!((sent.index, sent.records.len()), (1, 0));
        for record in image.records() {
            assert_eq!(record.travels(), wire(&record).is_some(), "{record:?}");
        }
    }
}
