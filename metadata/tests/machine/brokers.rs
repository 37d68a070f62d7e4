//! Registration, fencing, unfencing, producer ids.

use uuid::Uuid;

use holdfast_metadata::{BrokerRegistration, Command, PRODUCER_ID_BLOCK, Record, Response, version::SUPPORTED};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, ClusterId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId},
};

use crate::cluster::{Cluster, b};

#[test]
fn a_cluster_is_formed_once() {
    let mut c = Cluster::empty();
    let form = |n| Command::FormCluster { cluster_id: ClusterId(Uuid::from_u128(n)) };
    assert_eq!(c.ok(&form(7)).0, [Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(7)) }]);
    assert_eq!(c.ok(&form(7)), (vec![], Response::ClusterFormed));
    assert_eq!(c.refused(&form(8)).code, ErrorCode::InconsistentClusterId);
    assert_eq!(c.image.cluster_id(), Some(ClusterId(Uuid::from_u128(7))));
}

#[test]
fn a_broker_registers_fenced_and_is_unfenced() {
    let mut c = Cluster::empty();
    let command = c.registration(1, 1, 1);
    let registration = BrokerRegistration {
        broker_id: b(1),
        broker_epoch: BrokerEpoch(1),
        incarnation_id: command.incarnation_id,
        directory_id: command.directory_id,
        boot_counter: 1,
        client_address: "broker-1:9092".into(),
        peer_address: "broker-1:9093".into(),
        rack: None,
        versions: SUPPORTED,
        fenced: true,
        shutting_down: false,
        token: None,
    };
    let (records, response) = c.ok(&Command::RegisterBroker(command.clone()));
    assert_eq!(
        records,
        [Record::Broker(registration.clone()), Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(2) }]
    );
    assert_eq!(response, Response::BrokerRegistered { broker_epoch: BrokerEpoch(1) });
    assert_eq!(c.unfence(1), [Record::Broker(BrokerRegistration { fenced: false, ..registration })]);
    // Again changes nothing, neither unfencing nor registering.
    assert_eq!(c.unfence(1), []);
    let again = c.ok(&Command::RegisterBroker(command));
    assert_eq!(again, (vec![], Response::BrokerRegistered { broker_epoch: BrokerEpoch(1) }));
}

#[test]
fn the_same_start_may_tell_another_address_but_no_other_disk() {
    let mut c = Cluster::empty();
    let mut command = c.registration(1, 1, 1);
    c.ok(&Command::RegisterBroker(command.clone()));
    command.peer_address = "elsewhere:1".into();
    let (records, _) = c.ok(&Command::RegisterBroker(command.clone()));
    assert_eq!(records.len(), 1);
    assert_eq!(c.image.broker(b(1)).expect("there").peer_address, "elsewhere:1");
    command.directory_id = DirectoryId(Uuid::from_u128(2));
    assert_eq!(c.refused(&Command::RegisterBroker(command)).code, ErrorCode::InvalidRequest);
}

#[test]
fn a_live_session_keeps_its_id() {
    let mut c = Cluster::new(1);
    let mut command = c.registration(1, 2, 1);
    command.old_session_alive = true;
    assert_eq!(c.refused(&Command::RegisterBroker(command.clone())).code, ErrorCode::DuplicateBrokerRegistration);
    command.old_session_alive = false;
    let (_, response) = c.ok(&Command::RegisterBroker(command));
    assert_eq!(response, Response::BrokerRegistered { broker_epoch: BrokerEpoch(2) });
}

#[test]
fn everything_wrong_with_a_registration_is_said() {
    let mut c = Cluster::empty();
    let mut command = c.registration(1, 0, 1);
    command.client_address = "no-port".into();
    command.peer_address = "host:0".into();
    command.rack = Some(String::new());
    let rejection = c.refused(&Command::RegisterBroker(command));
    assert_eq!(rejection.code, ErrorCode::InvalidRequest);
    assert_eq!(
        rejection.message,
        "the client address is not host:port; the peer address is not host:port; \
         a rack has 1 to 300 bytes; the boot counter starts at 1"
    );
}

#[test]
fn fencing_shrinks_the_isr_and_elects() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!(c.shown(t), "1 @0/0 isr 1,2,3 elr -");
    let registration = c.image.broker(b(1)).expect("there").clone();
    let state = |c: &Cluster| c.state(t).clone();
    let records = c.fence(1);
    assert_eq!(
        records,
        [
            Record::Partition { topic_id: t, partition: PartitionIndex(0), state: state(&c) },
            Record::Broker(BrokerRegistration { fenced: true, ..registration }),
        ]
    );
    assert_eq!(c.shown(t), "2 @1/1 isr 2,3 elr -");
    assert_eq!(c.fence(1), [], "again changes nothing");
    // A follower's fencing leaves leader and leader epoch alone.
    c.fence(3);
    assert_eq!(c.shown(t), "2 @1/2 isr 2 elr 3");
}

#[test]
fn a_late_fencing_does_not_hit_a_newer_start() {
    let mut c = Cluster::new(1);
    let old = c.epoch(1);
    c.restart(1);
    c.unfence(1);
    let late = Command::FenceBroker { broker_id: b(1), broker_epoch: old };
    assert_eq!(c.refused(&late).code, ErrorCode::StaleBrokerEpoch);
    let unknown = Command::FenceBroker { broker_id: b(9), broker_epoch: old };
    assert_eq!(c.refused(&unknown).code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn a_restart_ends_the_leadership_even_if_nobody_noticed_the_end() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    c.restart(1);
    assert_eq!(c.shown(t), "2 @1/1 isr 2,3 elr -");
    // The only replica: it leads again, under another leader epoch.
    let single = c.topic("single", 1, 1, &[]);
    assert_eq!(c.shown(single), "2 @0/0 isr 2 elr -");
    c.restart(2);
    assert_eq!(c.shown(single), "none @1/1 isr - elr 2");
    c.unfence(2);
    assert_eq!(c.shown(single), "2 @2/2 isr 2 elr -");
    assert_eq!(c.state(single).leader_epoch, LeaderEpoch(2));
    assert_eq!(c.state(single).partition_epoch, PartitionEpoch(2));
}

#[test]
fn unregistering_wants_a_fenced_broker_without_replicas() {
    let mut c = Cluster::new(2);
    let t = c.topic("t", 1, 2, &[]);
    let command = Command::UnregisterBroker { broker_id: b(2) };
    assert!(c.refused(&command).message.contains("alive and has 1 replicas"));
    c.fence(2);
    assert!(c.refused(&command).message.contains("fenced and has 1 replicas"));
    c.ok(&Command::DeleteTopic { topic_id: t });
    assert_eq!(c.ok(&command).0, [Record::RemoveBroker { broker_id: b(2) }]);
    assert_eq!(c.refused(&command).code, ErrorCode::BrokerIdNotRegistered);
    // Its epochs are not given again.
    c.start(2, 1, 2);
    assert_eq!(c.epoch(2), BrokerEpoch(3));
}

#[test]
fn producer_ids_come_in_blocks_that_never_meet() {
    let mut c = Cluster::new(2);
    let mut first = |n: u32| {
        let command = Command::AllocateProducerIds { broker_id: b(n), broker_epoch: c.epoch(n) };
        match c.ok(&command) {
            (records, Response::ProducerIds { first_producer_id, count: PRODUCER_ID_BLOCK }) => {
                let next_producer_id = ProducerId(first_producer_id.0 + 1_000);
                assert_eq!(records, [Record::NextProducerId { next_producer_id }]);
                first_producer_id.0
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((first(1), first(2), first(1)), (0, 1_000, 2_000));
    let stale = Command::AllocateProducerIds { broker_id: b(1), broker_epoch: BrokerEpoch(0) };
    assert_eq!(c.refused(&stale).code, ErrorCode::StaleBrokerEpoch);
}
