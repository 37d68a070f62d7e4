//! Order and exactly one copy, whatever happens on the way.

use std::sync::Arc;

use parking_lot::Mutex;

use holdfast_client::{ErrorCode, Record, ids::Offset};

use super::given::{builder, numbers, within};
use crate::fake::{FakeCluster, ProduceFault};

/// Faults in an order that looks random, but is the same in every run.
fn faults(seed: u64, count: usize) -> Vec<ProduceFault> {
    let mut random = seed;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    (0..count)
        .map(|_| match next() % 16 {
            0 => ProduceFault::AppendAndBreak,
            1 => ProduceFault::LoseAndBreak,
            2 => ProduceFault::Refuse(ErrorCode::NotEnoughReplicas),
            3 => ProduceFault::Refuse(ErrorCode::NotLeaderOrFollower),
            4 => ProduceFault::AppendButAnswer(ErrorCode::RequestTimedOut),
            5 => ProduceFault::AppendButAnswer(ErrorCode::NotEnoughReplicasAfterAppend),
            6 => ProduceFault::Refuse(ErrorCode::CorruptMessage),
            _ => ProduceFault::Serve,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_in_flight_keep_their_order_and_make_no_duplicates_under_retries() {
    for seed in 1..=8 {
        let cluster = FakeCluster::start(1).await;
        cluster.add_topic("t", 1);
        cluster.script(faults(seed, 120));
        let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
        let topic = producer.topic("t").await.unwrap();

        let mut futures = Vec::new();
        for value in numbers(3_000) {
            futures.push(producer.enqueue(Record::new(&topic).value(&value)).await.unwrap());
        }
        for (index, future) in futures.into_iter().enumerate() {
            let delivery = within("a delivery", future).await.unwrap_or_else(|e| panic!("seed {seed}, {index}: {e}"));
            assert_eq!(delivery.offset, Some(Offset(index as u64)), "seed {seed}");
        }
        assert_eq!(cluster.values("t", 0), numbers(3_000), "seed {seed}");
        let batches = cluster.state().produced_batches.len();
        assert!(batches > 60, "the faults hit {batches} batches only");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_made_good_by_the_request_timeout() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.script([ProduceFault::Serve, ProduceFault::AppendWithoutAnswer, ProduceFault::Lose]);
    let client = cluster.client().await;
    let timeout = std::time::Duration::from_millis(400);
    let producer = builder(&client).batch_size_bytes(1 << 10).request_timeout(timeout).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut futures = Vec::new();
    for value in numbers(400) {
        futures.push(producer.enqueue(Record::new(&topic).value(&value)).await.unwrap());
    }
    for future in futures {
        within("a delivery", future).await.unwrap();
    }
    assert_eq!(cluster.values("t", 0), numbers(400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_of_a_partition_come_in_order() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.script(faults(3, 60));
    let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for value in numbers(1_000) {
        let (seen, record) = (Arc::clone(&seen), Record::new(&topic).value(&value));
        let callback =
            move |result: Result<holdfast_client::Delivery, _>| seen.lock().push(result.unwrap().offset.unwrap().0);
        producer.send_with_callback(record, callback).await.unwrap();
    }
    assert!(producer.flush(std::time::Duration::from_secs(20)).await);
    let report = producer.close(std::time::Duration::from_secs(20)).await;
    assert_eq!((report.delivered, report.not_appended, report.in_doubt), (1_000, 0, 0));
    assert_eq!(*seen.lock(), (0..1_000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_leader_that_forgot_the_producer_is_written_to_under_a_new_epoch() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 2);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let partition = |index| Record::new(&topic).partition(holdfast_client::ids::PartitionIndex(index));
    for value in ["a", "b"] {
        within("a delivery", producer.send(partition(0).value(value))).await.unwrap();
        within("a delivery", producer.send(partition(1).value(value))).await.unwrap();
    }
    cluster.state().topics.get_mut("t").unwrap().partitions[0].forget_producers();
    within("a delivery", producer.send(partition(0).value("c"))).await.unwrap();
    within("a delivery", producer.send(partition(1).value("c"))).await.unwrap();
    within("a delivery", producer.send(partition(0).value("d"))).await.unwrap();
    assert_eq!(cluster.values("t", 0), ["a", "b", "c", "d"]);
    assert_eq!(cluster.values("t", 1), ["a", "b", "c"]);
    assert_eq!(cluster.state().init_calls, 2);
}
