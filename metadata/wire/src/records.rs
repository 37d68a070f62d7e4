//! Metadata records as they travel from controllers to brokers, both ways in one place.
//!
//! Place: the controllers' edge writes messages, the brokers' edge reads them.
//!
//! 1. A record has a message exactly if [`Record::travels`].
//! 2. Hostile bytes give a named error, never a panic. A record that this version does not know is skipped.
//! 3. What travels comes back as it was: no field is lost on the way.

use std::collections::BTreeMap;

use holdfast_metadata::{BrokerRegistration, PartitionState, Record, VersionRange};
use holdfast_proto::{
    convert::{Error, leader_epoch, optional_id, partition, required, required_id},
    ids::{BrokerEpoch, BrokerId, FolderToken, MetadataVersion, Offset, PartitionEpoch},
    v1::{self, metadata_record::Record as Wire},
};

use crate::{recovery, trust};

/// The message of a record; `None` if it does not travel.
pub fn to_message(record: &Record) -> Option<v1::MetadataRecord> {
    let wire = match record {
        Record::Broker(broker) => Wire::Broker(v1::BrokerRecord {
            broker_id: broker.broker_id.0,
            broker_epoch: broker.broker_epoch.0,
            incarnation_id: broker.incarnation_id.to_bytes(),
            directory_id: broker.directory_id.to_bytes(),
            boot_counter: broker.boot_counter,
            client_address: broker.client_address.clone(),
            peer_address: broker.peer_address.clone(),
            rack: broker.rack.clone().unwrap_or_default(),
            min_metadata_version: broker.versions.min.0,
            max_metadata_version: broker.versions.max.0,
            fenced: broker.fenced,
            shutting_down: broker.shutting_down,
            token: broker.token.map(FolderToken::to_bytes).unwrap_or_default(),
        }),
        Record::RemoveBroker { broker_id } => Wire::RemoveBroker(v1::RemoveBrokerRecord { broker_id: broker_id.0 }),
        Record::Topic { topic_id, name } => {
            Wire::Topic(v1::TopicRecord { name: name.clone(), topic_id: topic_id.to_bytes() })
        }
        Record::RemoveTopic { topic_id } => Wire::RemoveTopic(v1::RemoveTopicRecord { topic_id: topic_id.to_bytes() }),
        Record::TopicConfig { topic_id, configs } => {
            let entry = |(key, value): (&String, &String)| v1::ConfigEntry {
                key: key.clone(),
                value: Some(value.clone()),
                is_default: false,
            };
            Wire::TopicConfig(v1::TopicConfigRecord {
                topic_id: topic_id.to_bytes(),
                configs: configs.iter().map(entry).collect(),
            })
        }
        Record::Partition { topic_id, partition, state } => Wire::Partition(v1::PartitionRecord {
            topic_id: topic_id.to_bytes(),
            state: Some(state_to_message(state)),
            partition: partition.0,
        }),
        Record::BrokerDrain { broker_id, draining } => {
            Wire::BrokerDrain(v1::BrokerDrainRecord { broker_id: broker_id.0, draining: *draining })
        }
        Record::MoveLimit { bytes_per_second } => {
            Wire::MoveLimit(v1::MoveLimitRecord { bytes_per_second: *bytes_per_second })
        }
        Record::PartitionRecovery(recovery) => Wire::Recovery(trust::recovery_to_message(recovery)),
        Record::ControllerRecovery(recovery) => Wire::ControllerRecovery(recovery::to_message(recovery)),
        Record::Version { version } => Wire::Version(v1::MetadataVersionRecord { version: version.0 }),
        Record::Cluster { .. }
        | Record::NextProducerId { .. }
        | Record::NextBrokerEpoch { .. }
        | Record::LostDisk(_)
        | Record::History { .. } => return None,
    };
    Some(v1::MetadataRecord { record: Some(wire) })
}

/// The record that a message holds; `None` for one that this version does not know, which is skipped.
pub fn from_message(message: v1::MetadataRecord) -> Result<Option<Record>, Error> {
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
        Wire::BrokerDrain(drain) => {
            Record::BrokerDrain { broker_id: BrokerId(drain.broker_id), draining: drain.draining }
        }
        Wire::MoveLimit(limit) => Record::MoveLimit { bytes_per_second: limit.bytes_per_second },
        Wire::Recovery(recovery) => Record::PartitionRecovery(trust::recovery_from_message(recovery)?),
        Wire::ControllerRecovery(recovery) => Record::ControllerRecovery(recovery::from_message(recovery)),
        Wire::Version(finalised) => Record::Version { version: MetadataVersion(finalised.version) },
        Wire::Partition(changed) => Record::Partition {
            topic_id: required_id(&changed.topic_id, "topic_id")?,
            partition: partition(changed.partition, "partition")?,
            state: state_from_message(required(changed.state, "state")?)?,
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
        versions: VersionRange::from_numbers(broker.min_metadata_version, broker.max_metadata_version),
        fenced: broker.fenced,
        shutting_down: broker.shutting_down,
        token: optional_id(&broker.token, "token")?,
    })
}

/// The state that a message holds.
pub fn state_from_message(state: v1::PartitionStateMessage) -> Result<PartitionState, Error> {
    let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
    Ok(PartitionState {
        leader: state.leader.map(BrokerId),
        leader_epoch: leader_epoch(state.leader_epoch, "leader_epoch")?,
        partition_epoch: PartitionEpoch(state.partition_epoch),
        replicas: ids(state.replicas),
        isr: ids(state.isr),
        elr: ids(state.elr),
        adding: ids(state.adding_replicas),
        removing: ids(state.removing_replicas),
        frozen_high_watermark: state.frozen_high_watermark.map(Offset),
        frozen_leader_epoch: state
            .frozen_leader_epoch
            .map(|epoch| leader_epoch(epoch, "frozen_leader_epoch"))
            .transpose()?,
        frozen_in: state.frozen_in.map(|epoch| leader_epoch(epoch, "frozen_in")).transpose()?,
        claims: trust::claims_from_messages(state.claims)?,
        distrusted: trust::distrusted_from_messages(state.distrusted),
        unsettled: state.unsettled,
        found: ids(state.found_replicas),
    })
}

/// The message of a partition's state.
pub fn state_to_message(state: &PartitionState) -> v1::PartitionStateMessage {
    v1::PartitionStateMessage {
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
        frozen_in: state.frozen_in.map(|epoch| epoch.0),
        claims: trust::claims_to_messages(&state.claims),
        distrusted: trust::distrusted_to_messages(&state.distrusted),
        unsettled: state.unsettled,
        found_replicas: ids(&state.found),
    }
}

/// Broker ids as they travel.
pub fn ids(brokers: &[BrokerId]) -> Vec<u32> {
    brokers.iter().map(|broker| broker.0).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_metadata::{
        HistoryHash,
        recovery::ControllerRecovery,
        trust::{Distrust, DistrustReason, PartitionRecovery, ReplicaClaim},
    };
    use holdfast_proto::ids::{
        ClusterId, ControllerId, DirectoryId, IncarnationId, LeaderEpoch, MetadataIndex, PartitionIndex, ProducerId,
        TopicId,
    };

    use super::*;

    /// One record of each kind, no two fields alike.
    fn one_of_each() -> Vec<Record> {
        let topic_id = TopicId(Uuid::from_u128(1));
        let brokers = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect();
        vec![
            Record::Broker(BrokerRegistration {
                broker_id: BrokerId(2),
                broker_epoch: BrokerEpoch(3),
                incarnation_id: IncarnationId(Uuid::from_u128(4)),
                directory_id: DirectoryId(Uuid::from_u128(5)),
                boot_counter: 6,
                client_address: "client:7".to_owned(),
                peer_address: "peer:8".to_owned(),
                rack: Some("nine".to_owned()),
                versions: VersionRange::from_numbers(25, 26),
                fenced: true,
                shutting_down: false,
                token: Some(FolderToken(Uuid::from_u128(27))),
            }),
            Record::PartitionRecovery(PartitionRecovery {
                topic_id,
                topic: "eleven".to_owned(),
                partition: PartitionIndex(13),
                broker_id: BrokerId(18),
                leader_epoch: LeaderEpoch(32),
                end: Some(Offset(33)),
                high_watermark: Some(Offset(34)),
                high_watermark_epoch: Some(LeaderEpoch(46)),
                high_watermark_is_old: true,
                claims: vec![ReplicaClaim {
                    broker_id: BrokerId(47),
                    leader_epoch: Some(LeaderEpoch(48)),
                    end: Offset(49),
                    doubtful: true,
                    unread: false,
                    not_held: false,
                }],
                absent: brokers(&[14]),
                at_ms: 35,
            }),
            Record::ControllerRecovery(ControllerRecovery {
                controller_id: ControllerId(37),
                index: MetadataIndex(38),
                term: 39,
                committed: MetadataIndex(40),
                given_up: vec![ControllerId(41), ControllerId(42)],
                without: brokers(&[43]),
                expected: brokers(&[51]),
                first_broker_epoch: BrokerEpoch(44),
                at_ms: 45,
            }),
            Record::RemoveBroker { broker_id: BrokerId(10) },
            Record::Topic { topic_id, name: "eleven".to_owned() },
            Record::RemoveTopic { topic_id },
            Record::TopicConfig { topic_id, configs: BTreeMap::from([("retention.ms".to_owned(), "12".to_owned())]) },
            Record::Partition {
                topic_id,
                partition: PartitionIndex(13),
                state: PartitionState {
                    leader: Some(BrokerId(14)),
                    leader_epoch: LeaderEpoch(15),
                    partition_epoch: PartitionEpoch(16),
                    replicas: brokers(&[14, 17, 18]),
                    isr: brokers(&[14, 17]),
                    elr: brokers(&[18]),
                    adding: brokers(&[17]),
                    removing: brokers(&[18]),
                    frozen_high_watermark: Some(Offset(28)),
                    frozen_leader_epoch: Some(LeaderEpoch(36)),
                    frozen_in: Some(LeaderEpoch(38)),
                    claims: vec![
                        ReplicaClaim {
                            broker_id: BrokerId(18),
                            leader_epoch: Some(LeaderEpoch(29)),
                            end: Offset(30),
                            doubtful: true,
                            unread: false,
                            not_held: false,
                        },
                        ReplicaClaim {
                            broker_id: BrokerId(17),
                            leader_epoch: None,
                            end: Offset(0),
                            doubtful: false,
                            unread: true,
                            not_held: true,
                        },
                    ],
                    distrusted: vec![Distrust { broker_id: BrokerId(31), reason: DistrustReason::Halted }],
                    unsettled: true,
                    found: brokers(&[50]),
                },
            },
            Record::BrokerDrain { broker_id: BrokerId(22), draining: true },
            Record::BrokerDrain { broker_id: BrokerId(23), draining: false },
            Record::MoveLimit { bytes_per_second: 24 },
            Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(19)) },
            Record::NextProducerId { next_producer_id: ProducerId(20) },
            Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(21) },
            Record::Version { version: MetadataVersion(27) },
            Record::History { hash: HistoryHash::START },
        ]
    }

    #[test]
    fn what_travels_comes_back_as_it_was() {
        for record in one_of_each() {
            let message = to_message(&record);
            assert_eq!(record.travels(), message.is_some(), "{record:?}");
            if let Some(message) = message {
                assert_eq!(from_message(message).unwrap(), Some(record));
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_unknown_is_skipped() {
        assert_eq!(from_message(v1::MetadataRecord { record: None }).unwrap(), None);
        let removed = v1::RemoveTopicRecord { topic_id: vec![0; 3].into() };
        let message = v1::MetadataRecord { record: Some(Wire::RemoveTopic(removed)) };
        assert_eq!(from_message(message), Err(Error::IdLength { field: "topic_id", length: 3 }));
        let changed = v1::PartitionRecord { topic_id: vec![1; 16].into(), partition: 0, state: None };
        let message = v1::MetadataRecord { record: Some(Wire::Partition(changed)) };
        assert_eq!(from_message(message), Err(Error::Missing { field: "state" }));
    }
}
