//! Metadata records as they travel, and back. Hostile bytes give a named error.

use std::collections::BTreeMap;

use holdfast_metadata::{BrokerRegistration, PartitionState, Record};
use holdfast_proto::{
    convert::{Error, leader_epoch, partition, required, required_id},
    ids::{BrokerEpoch, BrokerId, PartitionEpoch},
    v1::{self, metadata_record::Record as Wire},
};

/// The record that a message holds; `None` for one that this version does not know, which is skipped.
pub(super) fn record(message: v1::MetadataRecord) -> Result<Option<Record>, Error> {
    let Some(record) = message.record else { return Ok(None) };
    Ok(Some(match record {
        Wire::Broker(broker) => Record::Broker(registration(broker)?),
        Wire::RemoveBroker(removed) => Record::RemoveBroker { broker_id: BrokerId(removed.broker_id) },
        Wire::Topic(topic) => Record::Topic { topic_id: required_id(&topic.topic_id, "topic_id")?, name: topic.name },
        Wire::RemoveTopic(removed) => Record::RemoveTopic { topic_id: required_id(&removed.topic_id, "topic_id")? },
        Wire::TopicConfig(config) => Record::TopicConfig {
            topic_id: required_id(&config.topic_id, "topic_id")?,
            configs: config
                .configs
                .into_iter()
                .map(|entry| Ok((entry.key, required(entry.value, "configs.value")?)))
                .collect::<Result<BTreeMap<_, _>, Error>>()?,
        },
        Wire::Partition(changed) => Record::Partition {
            topic_id: required_id(&changed.topic_id, "topic_id")?,
            partition: partition(changed.partition, "partition")?,
            state: partition_state(required(changed.state, "state")?)?,
        },
    }))
}

fn registration(broker: v1::BrokerRecord) -> Result<BrokerRegistration, Error> {
    Ok(BrokerRegistration {
        broker_id: BrokerId(broker.broker_id),
        broker_epoch: BrokerEpoch(broker.broker_epoch),
        incarnation_id: required_id(&broker.incarnation_id, "incarnation_id")?,
        directory_id: required_id(&broker.directory_id, "directory_id")?,
        boot_counter: broker.boot_counter,
        client_address: broker.client_address,
        peer_address: broker.peer_address,
        rack: Some(broker.rack).filter(|rack| !rack.is_empty()),
        fenced: broker.fenced,
        shutting_down: broker.shutting_down,
    })
}

/// A partition's state.
pub(super) fn partition_state(state: v1::PartitionStateMessage) -> Result<PartitionState, Error> {
    let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
    Ok(PartitionState {
        leader: state.leader.map(BrokerId),
        leader_epoch: leader_epoch(state.leader_epoch, "leader_epoch")?,
        partition_epoch: PartitionEpoch(state.partition_epoch),
        replicas: ids(state.replicas),
        isr: ids(state.isr),
        elr: ids(state.elr),
    })
}
