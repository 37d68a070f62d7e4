//! Settings that are times, at their ends.

use std::time::Duration;

use futures::StreamExt;

use holdfast_client::{Client, ClientConfig, Consumer, Producer, StartAt};

use super::given::{enqueue, within};
use crate::fake::FakeCluster;

/// What callers write who want no limit.
const NO_LIMIT: Duration = Duration::MAX;

#[tokio::test]
async fn no_limit_is_a_time_like_any_other() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 1);
    cluster.state().hints = false;
    let client = cluster.client().await;
    let producer = Producer::builder(client.clone())
        .request_timeout(NO_LIMIT)
        .delivery_timeout(NO_LIMIT)
        .max_block(NO_LIMIT)
        .build()
        .await
        .unwrap();
    let consumer = Consumer::builder(client).assign_topic("t", StartAt::Earliest);
    let mut consumer = consumer.request_timeout(NO_LIMIT).start_timeout(NO_LIMIT).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();

    // Both are looked after still: silence is noticed, and so is a new leader.
    cluster.set_gate(false);
    let sent = enqueue(&producer, &topic, "a").await;
    let calls = cluster.state().metadata_calls;
    cluster.wait_until("the silent leader is suspected", |state| state.metadata_calls > calls).await;
    cluster.elect("t", 0, Some(2));
    cluster.set_gate(true);
    within("a delivery", sent).await.unwrap();
    let message = within("a record", consumer.next()).await.unwrap().unwrap();
    assert_eq!(message.value.unwrap(), "a");
    within("the end", producer.close(NO_LIMIT)).await;
}

#[tokio::test]
async fn a_client_without_limits_works() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let config = ClientConfig {
        connect_timeout: NO_LIMIT,
        request_timeout: NO_LIMIT,
        admin_timeout: NO_LIMIT,
        retry_backoff: NO_LIMIT,
        retry_backoff_max: NO_LIMIT,
        metadata_min_interval: NO_LIMIT,
        metadata_max_age: NO_LIMIT,
        keep_alive_interval: NO_LIMIT,
        ..cluster.config()
    };
    let client = within("the start", Client::connect(config)).await.unwrap();
    within("the answer", client.admin().describe_topic("t")).await.unwrap();
}

#[tokio::test]
async fn a_linger_longer_than_any_delivery_is_refused_by_name() {
    let cluster = FakeCluster::start(1).await;
    let client = cluster.client().await;
    for delivery_timeout in [Duration::from_secs(1), NO_LIMIT] {
        let builder = Producer::builder(client.clone()).linger(NO_LIMIT).delivery_timeout(delivery_timeout);
        let error = builder.build().await.unwrap_err();
        assert!(error.to_string().contains("longer than linger"), "{error}");
    }
}
