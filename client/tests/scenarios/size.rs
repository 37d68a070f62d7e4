//! Records and batches against the topic's limit on their size.

use futures::future::try_join_all;

use holdfast_client::{ProduceError, Record, ids::Offset, producer::SizeLimit};

use super::given::{builder, enqueue, numbers, within};
use crate::fake::FakeCluster;

#[tokio::test]
async fn batches_that_the_topic_refuses_arrive_in_parts_in_order_and_once() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    (cluster.state().max_message_bytes, cluster.state().hides_limit) = (Some(2 << 10), true);
    cluster.set_gate(false);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut futures = Vec::new();
    for value in numbers(5_000) {
        futures.push(enqueue(&producer, &topic, &value).await);
    }
    cluster.set_gate(true);
    let offsets = within("all", try_join_all(futures)).await.unwrap().into_iter().map(|delivery| delivery.offset);
    assert!(offsets.eq((0..5_000).map(|offset| Some(Offset(offset)))));
    assert_eq!(cluster.values("t", 0), numbers(5_000));
    assert_eq!(cluster.state().init_calls, 1, "nothing was given up");
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn where_the_limit_is_known_no_batch_is_refused_and_a_record_above_it_is_told_at_once() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.state().max_message_bytes = Some(2 << 10);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut futures = Vec::new();
    for value in numbers(1_000) {
        futures.push(enqueue(&producer, &topic, &value).await);
    }
    within("all", try_join_all(futures)).await.unwrap();
    let arrived: u32 = cluster.state().produced_batches.iter().sum();
    assert_eq!(arrived, 1_000, "each record was sent once");

    let large = vec![b'x'; 2 << 10];
    let error = producer.enqueue(Record::new(&topic).value(&large)).await.unwrap_err();
    let ProduceError::RecordTooLarge { max, limit, .. } = &error else { panic!("{error}") };
    assert_eq!((*max, limit), (2 << 10, &SizeLimit::Topic("t".to_owned())));
    assert!(error.to_string().contains("max.message.bytes of topic 't' allows 2048"), "{error}");

    cluster.state().max_message_bytes = Some(4 << 10);
    within("the same, once the limit is raised", producer.send(Record::new(&topic).value(&large))).await.unwrap();
}

#[tokio::test]
async fn a_value_of_one_mebibyte_fits_the_default_of_topics_and_more_fits_a_topic_that_allows_it() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.state().max_message_bytes = Some((1 << 20) + 4096);
    let producer = builder(&cluster.client().await).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let value = vec![b'x'; 1 << 20];
    within("a value of 1 MiB", producer.send(Record::new(&topic).value(&value))).await.unwrap();
    cluster.state().max_message_bytes = Some(16 << 20);
    let value = vec![b'x'; 9 << 20];
    within("a value of 9 MiB", producer.send(Record::new(&topic).value(&value))).await.unwrap();
}
