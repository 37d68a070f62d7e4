//! Batches, memory, acks, partitions.

use std::time::Duration;

use holdfast_client::{Acks, Compression, ProduceError, Record, ids::PartitionIndex};
use holdfast_proto::partitioner::partition_for_key;

use super::given::{builder, enqueue, numbers, within};
use crate::fake::FakeCluster;

#[tokio::test]
async fn a_lone_record_goes_at_once_and_more_gather_meanwhile() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.set_gate(false);
    // The linger is longer than the test: only "nothing in flight" or "full" may send.
    let linger = Duration::from_mins(1);
    let client = cluster.client().await;
    let producer = builder(&client).linger(linger).delivery_timeout(linger * 2).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let first = enqueue(&producer, &topic, "0").await;
    let mut rest = Vec::new();
    cluster.set_gate(true);
    within("the lone record", first).await.unwrap();
    assert_eq!(cluster.state().produced_batches, [1]);

    cluster.set_gate(false);
    let second = enqueue(&producer, &topic, "1").await;
    // A batch is closed when the connection takes it: wait until it has.
    within("in flight", async {
        while second.now().is_none() && cluster.state().produced_batches.len() < 2 && rest.len() < 100 {
            rest.push(enqueue(&producer, &topic, &(rest.len() + 2).to_string()).await);
            tokio::task::yield_now().await;
        }
    })
    .await;
    cluster.set_gate(true);
    within("the rest", futures::future::try_join_all(rest)).await.unwrap();
    assert_eq!(cluster.values("t", 0), numbers(102));
    let batches = cluster.state().produced_batches.clone();
    assert!(batches.len() <= 5, "101 records in {batches:?}");
}

#[tokio::test]
async fn a_full_buffer_makes_callers_wait_and_drops_nothing() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.set_gate(false);
    let capacity = 64 << 10;
    let client = cluster.client().await;
    let producer = builder(&client)
        .batch_size_bytes(4 << 10)
        .buffer_memory_bytes(capacity)
        .max_block(Duration::from_millis(30))
        .build()
        .await
        .unwrap();
    let topic = producer.topic("t").await.unwrap();
    let value = "x".repeat(1_000);
    let mut accepted = Vec::new();
    let full = loop {
        match producer.try_enqueue(Record::new(&topic).value(&value)) {
            Ok(future) => accepted.push(future),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, ProduceError::BufferFull { .. }), "{full}");
    assert!(producer.buffered_bytes() <= capacity);
    assert_eq!(accepted.len(), capacity / producer.buffered_bytes().div_ceil(accepted.len()));
    let waited = within("a full buffer", producer.enqueue(Record::new(&topic).value(&value))).await.unwrap_err();
    assert!(matches!(waited, ProduceError::BufferFull { capacity: c, .. } if c == capacity), "{waited}");

    cluster.set_gate(true);
    within("all", futures::future::try_join_all(accepted)).await.unwrap();
    within("room again", producer.send(Record::new(&topic).value(&value))).await.unwrap();
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn a_closed_producer_says_so() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    within("the end", producer.clone().close(Duration::from_secs(5))).await;
    let error = producer.try_enqueue(Record::new(&topic)).unwrap_err();
    assert!(matches!(error, ProduceError::Closed), "{error}");
    let error = within("the answer", producer.enqueue(Record::new(&topic))).await.unwrap_err();
    assert!(matches!(error, ProduceError::Closed), "{error}");
}

#[tokio::test]
async fn every_compression_arrives() {
    let cluster = FakeCluster::start(1).await;
    for compression in Compression::ALL {
        let name = compression.name();
        cluster.add_topic(name, 1);
        let producer = builder(&cluster.client().await).compression(compression).build().await.unwrap();
        let topic = producer.topic(name).await.unwrap();
        let mut futures = Vec::new();
        for value in numbers(500) {
            futures.push(producer.enqueue(Record::new(&topic).value(&value)).await.unwrap());
        }
        within("all", futures::future::try_join_all(futures)).await.unwrap();
        assert_eq!(cluster.values(name, 0), numbers(500), "{name}");
    }
}

#[tokio::test]
async fn acks_none_is_done_when_sent_and_knows_no_offset() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let producer = builder(&cluster.client().await).acks(Acks::None).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    for value in numbers(50) {
        let delivery = within("handed over", producer.send(Record::new(&topic).value(&value))).await.unwrap();
        assert_eq!((delivery.offset, delivery.leader_epoch), (None, None));
    }
    cluster.wait_until("all records", |state| state.topics["t"].partitions[0].end == 50).await;
    assert_eq!(cluster.values("t", 0), numbers(50));
}

#[tokio::test]
async fn records_go_where_their_partition_or_key_says() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 7);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    assert_eq!(topic.partition_count(), 7);
    for key in ["a", "b", "customer-7"] {
        let delivery = within("a delivery", producer.send(Record::new(&topic).key(key).value("x"))).await.unwrap();
        assert_eq!(delivery.partition, partition_for_key(key.as_bytes(), 7));
    }
    let fifth = Record::new(&topic).partition(PartitionIndex(5)).key("a");
    assert_eq!(within("a delivery", producer.send(fifth)).await.unwrap().partition, PartitionIndex(5));
    let wrong = producer.enqueue(Record::new(&topic).partition(PartitionIndex(7))).await.unwrap_err();
    assert!(matches!(wrong, ProduceError::UnknownPartition { partition: 7, count: 7, .. }), "{wrong}");
    let mut used = std::collections::BTreeSet::new();
    for _ in 0..30 {
        used.insert(within("a delivery", producer.send(Record::new(&topic).value("x"))).await.unwrap().partition);
    }
    assert_eq!(used.len(), 7, "keyless records use every partition");
}

#[tokio::test]
async fn wrong_settings_and_records_are_refused_by_name() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let client = cluster.client().await;
    let wrong = builder(&client).max_in_flight(6).batch_size_bytes(10).build().await.unwrap_err().to_string();
    assert!(wrong.contains("max_in_flight") && wrong.contains("batch_size_bytes"), "{wrong}");

    let producer = builder(&client).max_record_bytes(10_000).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let large = producer.enqueue(Record::new(&topic).value(&[0; 10_000])).await.unwrap_err();
    assert!(matches!(large, ProduceError::RecordTooLarge { max: 10_000, .. }), "{large}");
    let unknown = within("the answer", producer.topic("nowhere")).await.unwrap_err();
    assert!(unknown.to_string().contains("unknown topic 'nowhere'"), "{unknown}");
    assert_eq!(producer.buffered_bytes(), 0);
}
