use std::{collections::BTreeMap, time::Instant};

use holdfast_controller::config::Config;
use holdfast_proto::{
    error::ErrorCode,
    status::from_status,
    v1::{
        CreateTopicRequest, GetMetadataRequest, PartitionInfo, RegisterBrokerRequest,
        controller_service_client::ControllerServiceClient,
    },
};

use crate::{
    broker::{Applied, Broker, Disk, begin, registration},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

fn fenced(quorum: &Quorum) -> BTreeMap<u32, bool> {
    let image = quorum.node(quorum.active()).node().view().image();
    image.brokers().values().map(|broker| (broker.broker_id.0, broker.fenced)).collect()
}

#[track_caller]
fn wait_fenced(quorum: &Quorum, id: u32, wanted: bool) {
    eventually("the broker's state", || (fenced(quorum).get(&id) == Some(&wanted)).then_some(()));
}

fn create(quorum: &Quorum, name: &str, replicas: u32) {
    let request = CreateTopicRequest {
        name: name.to_owned(),
        partition_count: 3,
        replication_factor: replicas,
        ..CreateTopicRequest::default()
    };
    // On a busy machine the active controller may lose its lease for a moment.
    eventually("a topic", || {
        let mut admin = quorum.admin(quorum.active());
        let refused = quorum.block_on(admin.create_topic(request.clone())).err()?;
        let detail = from_status(&refused).expect("our error");
        (detail.code == ErrorCode::TopicAlreadyExists).then_some(())
    });
}

fn partitions(quorum: &Quorum, name: &str) -> Vec<PartitionInfo> {
    let request = GetMetadataRequest { topics: vec![name.to_owned()], ..GetMetadataRequest::default() };
    let mut admin = quorum.admin(quorum.active());
    let answer = quorum.block_on(admin.get_metadata(request)).expect("metadata").into_inner();
    answer.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

#[test]
fn a_broker_registers_serves_dies_and_is_replaced() {
    let quorum = Quorum::formed(3, same);
    let disks: Vec<Disk> = (1..=3).map(Disk::new).collect();
    let brokers: Vec<Broker> = disks.iter().map(|disk| Broker::start(&quorum, *disk)).collect();
    for broker in &brokers {
        wait_fenced(&quorum, broker.id, false);
    }
    create(&quorum, "t", 3);
    assert!(partitions(&quorum, "t").iter().any(|partition| partition.leader == Some(1)));

    let at = Instant::now();
    brokers[0].kill();
    wait_fenced(&quorum, 1, true);
    println!("a killed broker was fenced after {} ms", at.elapsed().as_millis());
    for partition in partitions(&quorum, "t") {
        assert!(partition.leader.is_some_and(|leader| leader != 1), "{partition:?}");
        assert_eq!(partition.isr.len(), 2, "{partition:?}");
    }

    // It comes back with the same disk: registered again, and unfenced once it has caught up.
    let again = Broker::start(&quorum, Disk { boot: 2, ..disks[0] });
    assert!(again.epoch > brokers[0].epoch);
    wait_fenced(&quorum, 1, false);
}

/// The controllers were restored from older copies: what they know of its folder is older than that is.
#[test]
fn a_folder_that_knows_more_than_is_committed_is_not_registered() {
    let quorum = Quorum::formed(1, same);
    let node = quorum.node(quorum.active()).node();
    let ask = |known_index: u64| {
        let request = RegisterBrokerRequest { known_index, ..registration(quorum.cluster_id(), Disk::new(5)) };
        let answer = quorum.block_on(quorum.controller(0).register_broker(request));
        answer.expect("an answer").into_inner()
    };
    let answer = ask(1_000_000);
    assert!(answer.metadata_went_back && answer.broker_epoch == 0 && answer.index > 0, "{answer:?}");
    assert!(node.view().image().brokers().is_empty(), "nothing is written down of it");
    let answer = ask(node.view().image().index().0);
    assert!(!answer.metadata_went_back && !answer.other_folder, "{answer:?}");
    assert_eq!(node.view().image().brokers().len(), 1);
}

#[test]
fn a_silent_broker_is_fenced_and_comes_back_by_itself() {
    let quorum = Quorum::formed(1, |config| config.broker_session_timeout_ms = 600);
    let broker = Broker::start(&quorum, Disk::new(5));
    wait_fenced(&quorum, 5, false);
    broker.silence(true);
    wait_fenced(&quorum, 5, true);
    broker.silence(false);
    wait_fenced(&quorum, 5, false);
}

#[test]
fn metadata_comes_as_a_snapshot_and_then_as_deltas_without_a_gap() {
    let quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    wait_fenced(&quorum, 1, false);
    for number in 0..20 {
        create(&quorum, &format!("t{number}"), 1);
    }
    let last = quorum.node(quorum.active()).node().view().image().index().0;
    let reached =
        || broker.messages.lock().iter().flat_map(|m| m.deltas.iter().map(|d| d.index.0)).last() >= Some(last);
    eventually("the last change", || reached().then_some(()));
    let messages = broker.messages.lock();
    let first = messages.first().expect("a message");
    let mut index = first.snapshot.as_ref().expect("a snapshot first").index.0;
    assert_eq!(messages.iter().filter(|message| message.snapshot.is_some()).count(), 1);
    for delta in messages.iter().flat_map(|message| &message.deltas) {
        assert_eq!(delta.index.0, index + 1, "a gap");
        index = delta.index.0;
    }
    // Only the answers to heartbeats give a lease.
    assert!(messages.iter().all(|message| message.lease_ms == if message.deltas.is_empty() { 3_000 } else { 0 }));
}

#[test]
fn brokers_stay_unfenced_when_the_active_controller_is_killed() {
    let mut quorum = Quorum::formed(3, same);
    let brokers: Vec<Broker> = (1..=2).map(|id| Broker::start(&quorum, Disk::new(id))).collect();
    for broker in &brokers {
        wait_fenced(&quorum, broker.id, false);
    }
    create(&quorum, "t", 2);
    let before = partitions(&quorum, "t");
    let killed = quorum.active();
    quorum.kill(killed);
    quorum.active();
    // A new session with the new active controller, and then a change that both of them hear of.
    let seen: Vec<usize> = brokers.iter().map(|broker| broker.messages.lock().len()).collect();
    for (broker, seen) in brokers.iter().zip(seen) {
        eventually("a new session", || {
            broker.messages.lock()[seen..].iter().any(|message| message.lease_ms > 0).then_some(())
        });
    }
    // The new active controller has the changes since, and the same history: nobody is sent the whole state again.
    for broker in &brokers {
        let messages = broker.messages.lock();
        assert_eq!(messages.iter().filter(|message| message.snapshot.is_some()).count(), 1);
        let mut index = messages[0].snapshot.as_ref().expect("a snapshot first").index.0;
        for delta in messages.iter().flat_map(|message| &message.deltas) {
            assert_eq!(delta.index.0, index + 1, "a gap");
            index = delta.index.0;
        }
    }
    assert_eq!(fenced(&quorum), BTreeMap::from([(1, false), (2, false)]));
    let leaders = |list: &[PartitionInfo]| list.iter().map(|p| (p.leader, p.leader_epoch)).collect::<Vec<_>>();
    assert_eq!(leaders(&partitions(&quorum, "t")), leaders(&before), "no election was needed");
}

/// What a broker that has applied so much is sent when its session begins: whether the whole state, and the index then.
fn sent(quorum: &Quorum, broker: &Broker, applied: Applied) -> (bool, u64) {
    let (address, cluster) = (&quorum.addresses[quorum.active()], quorum.cluster_id());
    let begun = quorum.block_on(begin(address, cluster, broker.id, broker.epoch, applied));
    let whole = begun.heard.iter().any(|heard| heard.snapshot.is_some());
    let told = begun.heard.iter().flat_map(|heard| heard.snapshot.iter().chain(&heard.deltas));
    (whole, told.last().map_or(applied.index, |last| last.index.0))
}

#[test]
fn a_session_goes_on_only_from_a_state_of_the_same_history_that_is_not_too_old() {
    // Sessions are opened by hand, beside that of the broker itself.
    let quorum = Quorum::formed(1, |config| config.broker_session_timeout_ms = 60_000);
    let broker = Broker::start(&quorum, Disk::new(1));
    wait_fenced(&quorum, 1, false);
    create(&quorum, "t", 1);
    broker.kill();
    let view = quorum.node(0).node().view();
    let known = || {
        let image = view.image();
        Applied { index: image.index().0, history: image.history() }
    };
    let old = known();
    create(&quorum, "u", 1);
    let now = known();
    assert_eq!(sent(&quorum, &broker, old), (false, now.index), "what is new alone");
    assert_eq!(sent(&quorum, &broker, now), (false, now.index), "nothing");
    let other = Applied { history: now.history, ..old };
    assert_eq!(sent(&quorum, &broker, other), (true, now.index), "a state of another history");
    let ahead = Applied { index: now.index + 5, ..now };
    assert_eq!(sent(&quorum, &broker, ahead), (true, now.index), "a state that this cluster never had");
    assert_eq!(sent(&quorum, &broker, Applied { history: None, ..old }), (true, now.index), "a state without a proof");
    assert_eq!(sent(&quorum, &broker, Applied::default()), (true, now.index), "no state");
    for name in ["large", "larger", "largest"] {
        let request = CreateTopicRequest {
            name: name.to_owned(),
            partition_count: 10_000,
            replication_factor: 1,
            ..CreateTopicRequest::default()
        };
        quorum.block_on(quorum.admin(0).create_topic(request)).expect("a topic");
    }
    assert_eq!(sent(&quorum, &broker, now), (true, known().index), "more changed since than is kept");
}

#[test]
fn a_second_broker_with_a_live_id_is_refused() {
    let quorum = Quorum::formed(1, same);
    let _broker = Broker::start(&quorum, Disk::new(1));
    wait_fenced(&quorum, 1, false);
    let request = registration(quorum.cluster_id(), Disk::new(1));
    let mut client = ControllerServiceClient::new(quorum.channel(0));
    let refused = quorum.block_on(client.register_broker(request)).expect_err("a duplicate");
    assert_eq!(from_status(&refused).expect("our error").code, ErrorCode::DuplicateBrokerRegistration);
}

#[test]
fn leaders_return_to_their_preferred_replicas() {
    let quorum = Quorum::formed(1, |config| config.leader_rebalance_interval_ms = 100);
    let disks: Vec<Disk> = (1..=2).map(Disk::new).collect();
    let brokers: Vec<Broker> = disks.iter().map(|disk| Broker::start(&quorum, *disk)).collect();
    for broker in &brokers {
        wait_fenced(&quorum, broker.id, false);
    }
    create(&quorum, "t", 2);
    brokers[0].kill();
    wait_fenced(&quorum, 1, true);
    let again = Broker::start(&quorum, Disk { boot: 2, ..disks[0] });
    wait_fenced(&quorum, 1, false);
    // The leader takes it back into the ISR, as a real one does when it has caught up.
    let changes = partitions_to_rejoin(&quorum, &brokers[1], &again);
    let mut client = quorum.controller(0);
    let answer = quorum.block_on(client.alter_partitions(changes)).expect("an answer").into_inner();
    assert!(answer.results.iter().all(|result| result.error.is_none()), "{answer:?}");
    eventually("the preferred leaders", || {
        partitions(&quorum, "t")
            .iter()
            .all(|partition| partition.leader == partition.replicas.first().copied())
            .then_some(())
    });
}

fn partitions_to_rejoin(
    quorum: &Quorum,
    leader: &Broker,
    joiner: &Broker,
) -> holdfast_proto::v1::AlterPartitionsRequest {
    use holdfast_proto::v1::{AlterPartitionsRequest, IsrChange, IsrMember};
    let image = quorum.node(0).node().view().image();
    let member = |broker: &Broker| IsrMember { broker_id: broker.id, broker_epoch: broker.epoch };
    let changes = image.partitions().map(|(partition, _, state)| IsrChange {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
        leader_epoch: state.leader_epoch.0,
        partition_epoch: state.partition_epoch.0,
        new_isr: vec![member(leader), member(joiner)],
        high_watermark: None,
        high_watermark_epoch: None,
    });
    AlterPartitionsRequest {
        header: Some(holdfast_proto::convert::peer_header(quorum.cluster_id(), 0, leader.id.into())),
        broker_id: leader.id,
        broker_epoch: leader.epoch,
        changes: changes.collect(),
    }
}
