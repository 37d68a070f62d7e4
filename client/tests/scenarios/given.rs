//! What most scenarios begin with, and how they wait.

use std::{future::Future, time::Duration};

use holdfast_client::{Acks, Client, Producer, Record, TopicHandle, producer::ProducerBuilder};

/// The future's value, or a failure of the test.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("took too long: {what}"))
}

/// A producer that gives up soon.
pub(crate) fn builder(client: &Client) -> ProducerBuilder {
    Producer::builder(client.clone())
        .acks(Acks::All)
        .request_timeout(Duration::from_secs(2))
        .delivery_timeout(Duration::from_secs(15))
        .max_block(Duration::from_secs(10))
}

/// Accepts one record with this value, and gives its future.
pub(crate) async fn enqueue(producer: &Producer, topic: &TopicHandle, value: &str) -> holdfast_client::DeliveryFuture {
    producer.enqueue(Record::new(topic).value(value)).await.unwrap()
}

/// `"0"`, `"1"` and so on.
pub(crate) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
