//! Connections of clients that reach their age: streams end in good order, and a client under load notices nothing.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use holdfast_broker::life::start::Broker;
use holdfast_client::{Client as RealClient, ClientConfig, Consumer, Producer, Record, StartAt};
use holdfast_proto::{
    ids::PartitionIndex,
    v1::{FetchPartition, FetchRequest},
};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

/// Short, so that a test of seconds sees many of them.
const AGE: Duration = Duration::from_millis(300);

async fn aging(rig: &Rig, id: u32, age: Duration) -> Broker {
    let mut config = rig.config(id);
    config.max_connection_age_ms = age.as_millis() as u64;
    config.max_connection_age_grace_ms = 5_000;
    Broker::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_an_aged_connection_end_after_the_answers_and_the_next_ones_find_a_new_one() {
    let rig = Rig::start().await;
    let age = 3 * AGE;
    let broker = aging(&rig, 1, age).await;
    until("it serves", async || {
        rig.controller.image().brokers().values().any(holdfast_metadata::BrokerRegistration::is_active).then_some(())
    })
    .await;
    rig.controller.create_topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["first"]).await;
    for round in 0..3 {
        // Both on one channel, which connects again by itself; a call that meets the close is made again.
        let mut produce = until("a produce stream", async || client.try_stream().await.ok()).await;
        let opened = Instant::now();
        let fetch = FetchRequest {
            partitions: vec![FetchPartition { topic: "t".to_owned(), fetch_offset: 1_000, ..Default::default() }],
            correlation_id: 7,
            max_wait_ms: 20_000,
            min_bytes: 1,
            ..Default::default()
        };
        // The client's own half stays open: it is the broker that ends the stream.
        let requests = || futures::stream::iter([fetch.clone()]).chain(futures::stream::pending());
        let mut fetched =
            until("a fetch stream", async || client.consumer().fetch(requests()).await.ok()).await.into_inner();
        produce.produce("t", 0, batch(&["again"])).await.unwrap();
        let ended = soon("the produce stream ends", produce.answers.message()).await;
        assert!(ended.as_ref().is_ok_and(Option::is_none), "round {round}: {ended:?}");
        let mut answered = 0;
        while let Some(answer) = soon("the fetch stream ends", fetched.message()).await.unwrap() {
            assert_eq!(answer.correlation_id, 7);
            answered += 1;
        }
        assert_eq!(answered, 1, "round {round}: a fetch that was taken was not answered");
        assert!(opened.elapsed() < 4 * age, "round {round}: {:?}", opened.elapsed());
    }
    soon("it stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_under_load_sees_no_failed_operation_and_no_duplicate() {
    let rig = Rig::start().await;
    let brokers = [aging(&rig, 1, AGE).await, aging(&rig, 2, AGE).await];
    let active = || rig.controller.image().brokers().values().filter(|broker| broker.is_active()).count();
    until("both serve", async || (active() == 2).then_some(())).await;
    rig.controller.create_topic("t", 4, 2, &[]);
    let config = ClientConfig::new(brokers.iter().map(|broker| broker.context().identity.addresses.client.clone()));
    let client = RealClient::connect(config).await.unwrap();
    let producer = Producer::builder(client.clone()).build().await.unwrap();
    let topic = producer.topic("t").await.unwrap();
    let mut consumer = Consumer::builder(client).assign_topic("t", StartAt::Earliest).build().await.unwrap();
    let sending = async {
        let (until, mut sent) = (Instant::now() + 10 * AGE, 0_u32);
        let mut waiting = FuturesUnordered::new();
        while Instant::now() < until {
            let value = sent.to_string();
            let record = Record::new(&topic).partition(PartitionIndex(sent % 4)).value(&value);
            waiting.push(producer.enqueue(record).await.unwrap());
            sent += 1;
            if waiting.len() >= 64 {
                waiting.next().await.unwrap().expect("no send fails");
            }
        }
        while let Some(delivered) = waiting.next().await {
            delivered.expect("no send fails");
        }
        sent
    };
    let (numbers, mut sent) = tokio::sync::oneshot::channel();
    let reading = async {
        let (mut seen, mut last, mut all) = (HashSet::new(), [None; 4], None);
        while all.is_none_or(|all| seen.len() < all as usize) {
            tokio::select! {
                message = consumer.next() => {
                    let message = message.expect("the consumer goes on").expect("no fetch fails");
                    let value: u32 = std::str::from_utf8(message.value.as_deref().unwrap()).unwrap().parse().unwrap();
                    assert!(seen.insert(value), "{value} was read twice");
                    let last = &mut last[message.partition.0 as usize];
                    assert!(last.replace(value) < Some(value), "{value} was read after {last:?}");
                }
                number = &mut sent, if all.is_none() => all = Some(number.unwrap()),
            }
        }
        seen.len()
    };
    let both = async { tokio::join!(async { numbers.send(sending.await).unwrap() }, reading).1 };
    let read = soon("everything is read", Box::pin(both)).await;
    println!("{read} records over some 10 ages of each connection");
    assert!(read > 500, "only {read} records: the test proved nothing");
    for broker in brokers {
        soon("it stops", broker.stop()).await;
    }
}
