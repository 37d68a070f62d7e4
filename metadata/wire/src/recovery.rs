//! What was given up as the controllers went on from one of them, as messages, both ways.

use holdfast_metadata::recovery::ControllerRecovery;
use holdfast_proto::{
    ids::{BrokerEpoch, BrokerId, ControllerId, MetadataIndex},
    v1,
};

/// As it travels to brokers, and as administration shows it.
pub fn to_message(recovery: &ControllerRecovery) -> v1::ControllerRecovery {
    v1::ControllerRecovery {
        controller_id: recovery.controller_id.0,
        index: recovery.index.0,
        term: recovery.term,
        committed: recovery.committed.0,
        given_up: recovery.given_up.iter().map(|id| id.0).collect(),
        without: recovery.without.iter().map(|broker| broker.0).collect(),
        expected: recovery.expected.iter().map(|broker| broker.0).collect(),
        first_broker_epoch: recovery.first_broker_epoch.0,
        at_ms: recovery.at_ms,
    }
}

/// What a message says.
pub fn from_message(message: v1::ControllerRecovery) -> ControllerRecovery {
    ControllerRecovery {
        controller_id: ControllerId(message.controller_id),
        index: MetadataIndex(message.index),
        term: message.term,
        committed: MetadataIndex(message.committed),
        given_up: message.given_up.into_iter().map(ControllerId).collect(),
        without: message.without.into_iter().map(BrokerId).collect(),
        expected: message.expected.into_iter().map(BrokerId).collect(),
        first_broker_epoch: BrokerEpoch(message.first_broker_epoch),
        at_ms: message.at_ms,
    }
}
