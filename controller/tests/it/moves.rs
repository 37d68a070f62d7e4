//! Moves, drains and removals through the port of any controller.

use tonic::Status;

use holdfast_controller::config::Config;
use holdfast_proto::{
    convert::peer_header,
    error::ErrorCode,
    status::from_status,
    v1::{
        AlterPartitionsRequest, AlterReplicasRequest, CreateTopicRequest, DescribeClusterRequest,
        DescribeClusterResponse, GetMetadataRequest, IsrChange, IsrMember, PartitionInfo, PlanMovesRequest,
        RemoveBrokerRequest, ReplicaMove, SetBrokerDrainRequest,
    },
};

use crate::{
    broker::{Broker, Disk},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (ErrorCode, String) {
    let detail = from_status(&result.expect_err("a refusal")).expect("our error");
    (detail.code, detail.message)
}

fn cluster(quorum: &Quorum) -> DescribeClusterResponse {
    let mut admin = quorum.admin(quorum.active());
    quorum.block_on(admin.describe_cluster(DescribeClusterRequest {})).expect("described").into_inner()
}

/// Live brokers 1 to `count`.
fn brokers(quorum: &Quorum, count: u32) -> Vec<Broker> {
    let brokers: Vec<Broker> = (1..=count).map(|id| Broker::start(quorum, Disk::new(id))).collect();
    eventually("live brokers", || {
        cluster(quorum).brokers.iter().filter(|broker| !broker.fenced).count().eq(&brokers.len()).then_some(())
    });
    quorum.converge();
    brokers
}

fn partition(quorum: &Quorum, index: u64) -> PartitionInfo {
    let request = GetMetadataRequest { topics: vec!["t".to_owned()], min_index: index, ..Default::default() };
    let mut admin = quorum.admin(quorum.active());
    let answer = quorum.block_on(admin.get_metadata(request)).expect("metadata").into_inner();
    answer.topics[0].partitions[0].clone()
}

/// The leader says that all replicas are in sync.
fn all_in_sync(quorum: &Quorum, brokers: &[Broker]) {
    let state = partition(quorum, 0);
    let epoch = |id: u32| brokers.iter().find(|broker| broker.id == id).expect("known").epoch;
    let leader = state.leader.expect("led");
    let topic_id = {
        let active = quorum.node(quorum.active()).node().view().image();
        active.topic_by_name("t").expect("there").topic_id()
    };
    let members = state.replicas.iter().map(|id| IsrMember { broker_id: *id, broker_epoch: epoch(*id) });
    let change = IsrChange {
        topic_id: topic_id.to_bytes(),
        partition: 0,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        new_isr: members.collect(),
        high_watermark: None,
        high_watermark_epoch: None,
    };
    let request = AlterPartitionsRequest {
        header: Some(peer_header(quorum.cluster_id(), 0, leader.into())),
        broker_id: leader,
        broker_epoch: epoch(leader),
        changes: vec![change],
    };
    quorum.block_on(quorum.controller(quorum.active()).alter_partitions(request)).expect("accepted");
}

#[test]
fn a_broker_is_drained_emptied_and_removed_through_any_controller() {
    let quorum = Quorum::formed(3, same);
    let brokers = brokers(&quorum, 4);
    let mut admin = quorum.admin(quorum.passive());
    let topic = CreateTopicRequest {
        name: "t".to_owned(),
        partition_count: 1,
        replication_factor: 3,
        ..CreateTopicRequest::default()
    };
    quorum.block_on(admin.create_topic(topic)).expect("created");
    let drained = SetBrokerDrainRequest { broker_id: 1, draining: true };
    let marked = quorum.block_on(admin.set_broker_drain(drained)).expect("marked").into_inner();
    assert!(marked.index > 0);
    assert!(cluster(&quorum).brokers[0].draining);
    let (code, message) = refusal(quorum.block_on(admin.remove_broker(RemoveBrokerRequest { broker_id: 1 })));
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(message.contains("is alive and has 1 replicas") && message.contains("drain it"), "{message}");

    let only_drain = PlanMovesRequest { drain_brokers: vec![], only_drain: true };
    let plan = quorum.block_on(admin.plan_moves(only_drain.clone())).expect("planned").into_inner();
    let expected =
        ReplicaMove { topic: "t".to_owned(), partition: 0, old_replicas: vec![1, 2, 3], new_replicas: vec![4, 2, 3] };
    assert_eq!((plan.moves.as_slice(), plan.problems.len()), ([expected.clone()].as_slice(), 0));
    assert!(plan.index >= marked.index, "the plan knows of the mark");

    let unknown = ReplicaMove { topic: "u".to_owned(), ..expected.clone() };
    let back = ReplicaMove { partition: 0, new_replicas: vec![9], ..expected.clone() };
    let request = AlterReplicasRequest { moves: vec![unknown, expected, back], move_bytes_per_second: Some(1_000_000) };
    let altered = quorum.block_on(admin.alter_replicas(request)).expect("altered").into_inner();
    let codes: Vec<_> = altered.results.iter().map(|result| result.error.as_ref().map(|error| error.code)).collect();
    let number = |code: ErrorCode| Some(code.number());
    assert_eq!(codes, [number(ErrorCode::UnknownTopicOrPartition), None, number(ErrorCode::InvalidRequest)]);
    let moving = partition(&quorum, altered.index);
    assert_eq!(
        (moving.replicas, moving.adding_replicas, moving.removing_replicas),
        (vec![4, 2, 3, 1], vec![4], vec![1])
    );
    let now = cluster(&quorum);
    assert_eq!((now.moving_partition_count, now.move_bytes_per_second), (1, 1_000_000));
    assert_eq!((now.troubled_partitions.len(), now.under_replicated_partition_count), (0, 0), "a move is no trouble");

    all_in_sync(&quorum, &brokers);
    let moved = partition(&quorum, 0);
    assert_eq!((moved.leader, moved.replicas, moved.adding_replicas), (Some(4), vec![4, 2, 3], vec![]));
    let plan = quorum.block_on(admin.plan_moves(only_drain)).expect("planned").into_inner();
    assert_eq!((plan.moves.len(), cluster(&quorum).moving_partition_count), (0, 0));

    brokers[0].kill();
    eventually("its fencing", || cluster(&quorum).brokers[0].fenced.then_some(()));
    quorum.block_on(admin.remove_broker(RemoveBrokerRequest { broker_id: 1 })).expect("removed");
    let left: Vec<u32> = cluster(&quorum).brokers.iter().map(|broker| broker.broker_id).collect();
    assert_eq!(left, [2, 3, 4]);
    let again = quorum.block_on(admin.remove_broker(RemoveBrokerRequest { broker_id: 1 }));
    assert_eq!(refusal(again).0, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn partitions_in_trouble_are_named_worst_first() {
    let quorum = Quorum::formed(1, same);
    let brokers = brokers(&quorum, 3);
    let mut admin = quorum.admin(0);
    for (name, replication_factor) in [("a", 3), ("b", 1), ("c", 2)] {
        let topic = CreateTopicRequest {
            name: name.to_owned(),
            partition_count: 3,
            replication_factor,
            ..CreateTopicRequest::default()
        };
        quorum.block_on(admin.create_topic(topic)).expect("created");
    }
    assert_eq!(cluster(&quorum).troubled_partitions, []);
    brokers[2].kill();
    eventually("its fencing", || cluster(&quorum).brokers[2].fenced.then_some(()));
    let troubled = cluster(&quorum).troubled_partitions;
    let names: Vec<&str> = troubled.iter().map(|partition| partition.topic.as_str()).collect();
    // One of b is offline, two of c have one replica left and want two, and a lacks one of three everywhere.
    assert_eq!(names, ["b", "c", "c", "a", "a", "a"]);
    assert!(troubled.iter().all(|partition| partition.missing_replicas == [3]), "{troubled:?}");
    assert_eq!(troubled[0].partition.as_ref().and_then(|partition| partition.leader), None);
    assert_eq!(troubled[3].min_insync_replicas, 2);
}
