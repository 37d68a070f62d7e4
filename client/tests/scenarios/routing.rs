//! Leaders change, brokers die, topics go.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;

use holdfast_client::{Acks, Consumer, ErrorCode, ProduceError, Record, StartAt, ids::PartitionIndex};

use super::given::{builder, enqueue, numbers, within};
use crate::fake::{FakeCluster, ProduceFault};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_is_followed_by_hint_and_by_metadata() {
    for hints in [true, false] {
        let cluster = FakeCluster::start(3).await;
        cluster.add_topic("t", 1);
        cluster.state().hints = hints;
        let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
        let topic = producer.topic("t").await.unwrap();
        let mut futures = Vec::new();
        for (index, value) in numbers(2_000).iter().enumerate() {
            futures.push(producer.enqueue(Record::new(&topic).value(value)).await.unwrap());
            if index % 500 == 250 {
                cluster.elect("t", 0, Some(1 + (index as u32 / 500 + 1) % 3));
            }
        }
        for future in futures {
            within("a delivery", future).await.unwrap();
        }
        assert_eq!(cluster.values("t", 0), numbers(2_000), "hints {hints}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_survived() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 3);
    let producer = builder(&cluster.client().await).batch_size_bytes(1 << 10).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut futures = Vec::new();
    for (index, value) in numbers(3_000).iter().enumerate() {
        let record = Record::new(&topic).partition(PartitionIndex(0)).value(value);
        futures.push(producer.enqueue(record).await.unwrap());
        if index == 1_000 {
            cluster.kill(1);
        }
        if index == 2_000 {
            cluster.elect("t", 0, Some(2));
        }
    }
    for future in futures {
        within("a delivery", future).await.unwrap();
    }
    assert_eq!(cluster.values("t", 0), numbers(3_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_not_leader_answers_make_few_metadata_requests() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 150);
    cluster.state().hints = false;
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let send_all = || async {
        let mut futures = Vec::new();
        for partition in 0..150 {
            let record = Record::new(&topic).partition(PartitionIndex(partition)).value("x");
            futures.push(producer.enqueue(record).await.unwrap());
        }
        within("all", futures::future::try_join_all(futures)).await.unwrap();
    };
    send_all().await;
    for partition in 0..150 {
        cluster.elect("t", partition, Some(1 + (partition as u32 + 1) % 3));
    }
    let before = cluster.state().metadata_calls;
    send_all().await;
    let calls = cluster.state().metadata_calls - before;
    assert!((1..=6).contains(&calls), "150 partitions moved, {calls} metadata requests");
}

#[tokio::test]
async fn a_partition_without_leader_is_waited_for() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 1);
    cluster.elect("t", 0, None);
    let client = cluster.client().await;
    let producer = builder(&client).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let future = enqueue(&producer, &topic, "a").await;
    let calls = cluster.state().metadata_calls;
    cluster.wait_until("the client asks again", |state| state.metadata_calls >= calls + 2).await;
    cluster.elect("t", 0, Some(2));
    within("a delivery", future).await.unwrap();

    let timeout = Duration::from_millis(300);
    let impatient = builder(&client).delivery_timeout(timeout).build().await.unwrap();
    cluster.elect("t", 0, None);
    client.admin().describe_topic("t").await.unwrap();
    let topic = impatient.topic("t").await.unwrap();
    let error = within("the outcome", enqueue(&impatient, &topic, "b").await).await.unwrap_err();
    assert!(matches!(error, ProduceError::NotAppended { .. }), "{error}");
}

#[tokio::test]
async fn no_keyless_record_waits_for_a_leader_while_another_partition_has_one() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 2);
    cluster.elect("t", 0, None);
    let client = cluster.client().await;
    for _ in 0..10 {
        // Each begins anywhere.
        let producer = builder(&client).build().await.unwrap();
        let topic = producer.topic("t").await.unwrap();
        for value in numbers(3) {
            let delivery = within("a delivery", producer.send(Record::new(&topic).value(&value))).await.unwrap();
            assert_eq!(delivery.partition, PartitionIndex(1));
        }
    }
}

#[tokio::test]
async fn keyless_records_come_back_to_a_broker_whose_stream_broke_while_it_had_nothing_to_send() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 2);
    let client = cluster.client().await;
    // Nothing is sent again after the break.
    let producer = builder(&client).acks(Acks::None).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let calls = cluster.state().metadata_calls;
    cluster.script([ProduceFault::AppendAndBreak]);
    within("a delivery", producer.send(Record::new(&topic).value(b"a"))).await.unwrap();
    // So the client has seen the break.
    cluster.wait_until("the client asks again", |state| state.metadata_calls > calls).await;
    let both = async {
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            seen.insert(producer.send(Record::new(&topic).value(b"b")).await.unwrap().partition);
            tokio::task::yield_now().await;
        }
    };
    within("both partitions are used", both).await;
}

#[tokio::test]
async fn a_topic_that_was_created_again_is_not_mistaken() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let client = cluster.client().await;
    let producer = builder(&client).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    within("a delivery", enqueue(&producer, &topic, "a").await).await.unwrap();
    client.admin().delete_topic("t").await.unwrap();
    cluster.add_topic("t", 1);
    let error = within("the outcome", enqueue(&producer, &topic, "b").await).await.unwrap_err();
    // The broker's answer is certain. But the news that the topic is gone may come first, while the record is out.
    assert!(
        matches!(
            error,
            ProduceError::NotAppended { code: ErrorCode::UnknownTopicId }
                | ProduceError::InDoubt { code: ErrorCode::UnknownTopicId }
        ),
        "{error}"
    );
    let gone = producer.enqueue(Record::new(&topic)).await.unwrap_err();
    assert!(matches!(gone, ProduceError::TopicGone(_)), "{gone}");

    let again = producer.topic("t").await.unwrap();
    within("a delivery", enqueue(&producer, &again, "c").await).await.unwrap();
    assert_eq!(cluster.values("t", 0), ["c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_come_back_with_each_others_addresses_are_found_again() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 2);
    cluster.state().hints = false;
    let client = cluster.client().await;
    let producer = builder(&client).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut consumer = Consumer::builder(client).assign_topic("t", StartAt::Earliest).build().await.unwrap();
    let partition = |index| Record::new(&topic).partition(PartitionIndex(index));
    for round in ["before", "after", "later"] {
        for index in [0, 1] {
            within("a delivery", producer.send(partition(index).value(round))).await.unwrap();
        }
        for _ in [0, 1] {
            let message = within("a record", consumer.next()).await.unwrap().unwrap();
            assert_eq!(message.value.unwrap(), round);
        }
        if round == "before" {
            cluster.swap_addresses();
        }
    }
}
