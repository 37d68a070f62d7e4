//! What tests of several modules begin with.

use uuid::Uuid;

use holdfast_metadata::{BrokerRegistration, version::SUPPORTED};
use holdfast_proto::ids::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};

/// A broker that is registered and fenced, and knows all versions.
pub(crate) fn registration(broker_id: BrokerId, broker_epoch: BrokerEpoch) -> BrokerRegistration {
    BrokerRegistration {
        broker_id,
        broker_epoch,
        incarnation_id: IncarnationId(Uuid::from_u128(1)),
        directory_id: DirectoryId(Uuid::from_u128(2)),
        boot_counter: 1,
        client_address: "b:9092".to_owned(),
        peer_address: "b:9093".to_owned(),
        rack: None,
        versions: SUPPORTED,
        fenced: true,
        shutting_down: false,
        token: None,
    }
}
