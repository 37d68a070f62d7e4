//! Real processes under SIGKILL and SIGTERM, at reduced counts. Each test ends with the audit of every acknowledged
//! record. Pauses are printed, never asserted.

use std::time::Duration;

use tokio::task::JoinSet;

use holdfast_checker::account::Verdict;
use holdfast_client::{Client, Producer, Record};
use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, faults::Target};
use holdfast_proto::{error::ErrorCode, ids::PartitionIndex};
use holdfast_tests::process::{
    fixture::{Fixture, PARTITIONS, TOPIC},
    load::Load,
};

fn assert_kept(verdict: &Verdict, at_least: u64) {
    assert!(verdict.acked >= at_least, "only {} records were acknowledged: the test proved nothing", verdict.acked);
    assert!(verdict.is_clean(), "{verdict:?}");
    println!("acked={} read={} in doubt={}", verdict.acked, verdict.read, verdict.in_doubt);
}

/// The leader of partition 0 is killed again and again, and the active controller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k01_leader_chase() {
    let mut fixture = Fixture::start().await;
    let load = Load::start(&fixture.client, 4, 400);
    for round in 0..8 {
        load.flows(500).await;
        let target = if round % 4 == 3 { Target::ActiveController } else { Target::Leader(0) };
        let fault = fixture.cluster.fault(TOPIC, target, PATIENCE).await.expect("others take over");
        println!(
            "{} killed, taken over in {:?}; longest pause of acks {:?}",
            fault.node,
            fault.takeover,
            load.watch.take_longest_pause()
        );
    }
    load.flows(500).await;
    let summary = load.stop().await;
    assert_kept(&fixture.audit(summary.account).await, 4_000);
}

/// Every process is killed at once, and started in another order each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k02_whole_cluster() {
    let mut fixture = Fixture::start().await;
    let load = Load::start(&fixture.client, 4, 400);
    for round in 0..3 {
        load.flows(1_000).await;
        let mut nodes = fixture.cluster.nodes();
        for node in &nodes {
            fixture.cluster.kill(*node).expect("the process is killed");
        }
        nodes.rotate_left(round * 2 + 1);
        for node in nodes {
            fixture.cluster.start(node).expect("the process starts again");
        }
        fixture.cluster.wait_ready(PATIENCE).await.expect("the cluster comes back by itself");
    }
    load.flows(1_000).await;
    let summary = load.stop().await;
    assert_kept(&fixture.audit(summary.account).await, 4_000);
}

/// Two of three replicas are gone: writes are refused by name, nothing is acknowledged, and it heals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k03_two_of_three() {
    let mut fixture = Fixture::start().await;
    let load = Load::start(&fixture.client, 4, 400);
    for round in 0..2 {
        load.flows(500).await;
        let (first, second, left) = (round % 3 + 1, (round + 1) % 3 + 1, (round + 2) % 3 + 1);
        fixture.cluster.kill(NodeName::broker(first)).expect("killed");
        fixture.cluster.kill(NodeName::broker(second)).expect("killed");
        let cluster = &fixture.cluster;
        until("the ISR is one replica everywhere", async || {
            cluster
                .topic(TOPIC)
                .await
                .is_some_and(|topic| topic.partitions.iter().all(|partition| partition.isr == [left]))
        })
        .await;
        // Not the load's own acks: one of a record that all three held may come late, as the answer to a retry.
        refuse_everywhere(fixture.client.clone()).await;
        fixture.cluster.start(NodeName::broker(second)).expect("started");
        fixture.cluster.start(NodeName::broker(first)).expect("started");
        fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it heals by itself");
    }
    load.flows(500).await;
    let summary = load.stop().await;
    assert_kept(&fixture.audit(summary.account).await, 1_500);
}

/// A record for each partition, none of which is taken.
async fn refuse_everywhere(client: Client) {
    let producer =
        Producer::builder(client).delivery_timeout(Duration::from_secs(3)).build().await.expect("a producer");
    let topic = producer.topic(TOPIC).await.expect("the topic is known");
    let mut sends = JoinSet::new();
    for partition in 0..PARTITIONS {
        let (producer, topic) = (producer.clone(), topic.clone());
        sends.spawn(async move {
            let record = Record::new(&topic).partition(PartitionIndex(partition)).value("too few");
            (partition, producer.send(record).await)
        });
    }
    for (partition, sent) in sends.join_all().await {
        let error = sent.expect_err("one replica is not enough");
        assert!(!error.is_in_doubt(), "it was not appended to {partition}: {error}");
        assert_eq!(error.code(), Some(ErrorCode::NotEnoughReplicas), "partition {partition}: {error}");
    }
}

/// Each broker is stopped with SIGTERM in turn and started again: no client sees more than retries. Then the same with
/// SIGKILL close behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k04_rolling_stop() {
    let mut fixture = Fixture::start().await;
    let load = Load::start(&fixture.client, 4, 400);
    for grace in [Duration::from_secs(30), Duration::from_secs(1)] {
        for number in 1..=3 {
            load.flows(500).await;
            let node = NodeName::broker(number);
            let in_time = fixture.cluster.terminate(node, grace).await.expect("the process ends");
            assert!(in_time || grace < Duration::from_secs(30), "{node} did not end within {grace:?} of SIGTERM");
            println!("{node} stopped; longest pause of acks {:?}", load.watch.take_longest_pause());
            fixture.cluster.start(node).expect("started");
            fixture.cluster.wait_node(node, PATIENCE).await.expect("it becomes ready");
            fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it rejoins by itself");
        }
    }
    load.flows(500).await;
    let summary = load.stop().await;
    assert_eq!(summary.refused, 0, "a record was refused: {:?}", summary.first_problem);
    let verdict = fixture.audit(summary.account).await;
    assert_eq!(verdict.in_doubt, 0, "a record is in doubt");
    assert_kept(&verdict, 3_000);
}

/// Five batches in flight per partition, answers lost, and then the leader killed: once each, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_five_in_flight() {
    let mut fixture = Fixture::start_behind_proxies().await;
    let load = Load::start(&fixture.client, 4, 1_600);
    for round in 0..5 {
        load.flows(1_000).await;
        let leader = fixture.cluster.leader(TOPIC, round % 8).await.expect("the partition is led");
        let proxy = &fixture.proxies[leader.number as usize - 1];
        proxy.mute();
        // Answers to batches that are in the log by now.
        until("answers are lost", async || proxy.lost_bytes() > 500).await;
        fixture.cluster.kill(leader).expect("killed");
        fixture.proxies[leader.number as usize - 1].unmute();
        fixture.cluster.wait_takeover(TOPIC, leader, PATIENCE).await.expect("others take over");
        fixture.cluster.start(leader).expect("started");
        fixture.cluster.wait_node(leader, PATIENCE).await.expect("it becomes ready");
        fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it rejoins by itself");
    }
    let summary = load.stop().await;
    assert_kept(&fixture.audit(summary.account).await, 5_000);
}
