//! Calls for another broker than the one that is reached: passed on, and no client's at the cost of another's.

use futures::StreamExt;
use tonic::{Streaming, transport::Endpoint};

use holdfast_broker::{config::Config, life::start::Broker};
use holdfast_proto::v1;

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];
/// The least window that HTTP/2 allows to begin with.
const NARROW: u32 = 65_535;
const RECORDS: u64 = 20;

/// What is unread on one connection between brokers stops it soon.
fn narrow_between(config: Config) -> Config {
    Config { http2_stream_window_bytes: NARROW, http2_connection_window_bytes: NARROW, ..config }
}

/// A client that reaches `reached`, and means `meant`.
async fn through(reached: &Broker, meant: &Broker) -> Client {
    let origin = format!("http://{}", meant.context().identity.addresses.client).parse().unwrap();
    let narrow = |endpoint: Endpoint| {
        endpoint.origin(origin).initial_stream_window_size(NARROW).initial_connection_window_size(NARROW)
    };
    Client::connect_with(reached, narrow).await
}

/// A stream that has asked for everything, and of which nothing is read.
async fn unread(client: &Client) -> Streaming<v1::FetchResponse> {
    let partition = v1::FetchPartition { topic: "t".to_owned(), ..Default::default() };
    let request = v1::FetchRequest { correlation_id: 1, partitions: vec![partition], ..Default::default() };
    let requests = futures::stream::iter([request]).chain(futures::stream::pending());
    soon("a stream", client.consumer().fetch(requests)).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_stop_no_other_call_that_is_passed_on() {
    let rig = Rig::start().await;
    let brokers = [rig.broker_with(1, narrow_between).await, rig.broker_with(2, narrow_between).await];
    let topic_id = rig.controller.create_topic("t", 1, 1, ONE);
    let leading =
        until("it is led", async || rig.controller.image().topic(topic_id)?.partitions().next()?.1.leader).await;
    let is_leader = |broker: &&Broker| broker.context().identity.broker_id == leading;
    let leader = brokers.iter().find(is_leader).unwrap();
    let reached = brokers.iter().find(|broker| !is_leader(broker)).unwrap();
    until("the one reached knows the other", async || reached.context().metadata.look().broker(leading).map(|_| ()))
        .await;
    let large = "x".repeat(100_000);
    let direct = Client::connect(leader).await;
    produce_until(&direct, "t", 0, &[&large]).await;
    let mut stream = direct.stream().await;
    for offset in 1..RECORDS {
        assert_eq!(stream.produce("t", 0, batch(&[&large])).await, Ok(offset));
    }
    let stopped = [through(reached, leader).await, through(reached, leader).await];
    let _unread = [unread(&stopped[0]).await, unread(&stopped[1]).await];
    let reading = through(reached, leader).await;
    for _ in 0..5 {
        let mut values = Vec::new();
        while values.len() < RECORDS as usize {
            let more = soon("what is passed on", reading.read("t", 0, values.len() as u64)).await.unwrap();
            assert!(!more.is_empty());
            values.extend(more);
        }
        assert!(values.iter().all(|value| *value == large));
    }
    for broker in brokers {
        soon("a broker stops", broker.stop()).await;
    }
}
