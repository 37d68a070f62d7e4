//! Metadata records as they travel.

use holdfast_metadata::{BrokerRegistration, PartitionState, Record};
use holdfast_proto::v1::{self, metadata_record::Record as Wire};

/// The message of a record that brokers are told of.
pub(crate) fn message(record: &Record) -> Option<v1::MetadataRecord> {
    let wire = match record {
        Record::Broker(broker) => Wire::Broker(self::broker(broker)),
        Record::RemoveBroker { broker_id } => Wire::RemoveBroker(v1::RemoveBrokerRecord { broker_id: broker_id.0 }),
        Record::Topic { topic_id, name } => {
            Wire::Topic(v1::TopicRecord { name: name.clone(), topic_id: topic_id.to_bytes() })
        }
        Record::RemoveTopic { topic_id } => Wire::RemoveTopic(v1::RemoveTopicRecord { topic_id: topic_id.to_bytes() }),
        Record::TopicConfig { topic_id, configs } => Wire::TopicConfig(v1::TopicConfigRecord {
            topic_id: topic_id.to_bytes(),
            configs: configs
                .iter()
                .map(|(key, value)| v1::ConfigEntry { key: key.clone(), value: Some(value.clone()), is_default: false })
                .collect(),
        }),
        Record::Partition { topic_id, partition, state } => Wire::Partition(v1::PartitionRecord {
            topic_id: topic_id.to_bytes(),
            state: Some(self::state(state)),
            partition: partition.0,
        }),
        Record::Cluster { .. } | Record::NextProducerId { .. } | Record::NextBrokerEpoch { .. } => return None,
    };
    Some(v1::MetadataRecord { record: Some(wire) })
}

fn broker(broker: &BrokerRegistration) -> v1::BrokerRecord {
    v1::BrokerRecord {
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
    }
}

/// A partition's state.
pub(crate) fn state(state: &PartitionState) -> v1::PartitionStateMessage {
    v1::PartitionStateMessage {
        leader: state.leader.map(|leader| leader.0),
        leader_epoch: state.leader_epoch.0,
        partition_epoch: state.partition_epoch.0,
        replicas: state.replicas.iter().map(|id| id.0).collect(),
        isr: state.isr.iter().map(|id| id.0).collect(),
        elr: state.elr.iter().map(|id| id.0).collect(),
    }
}
