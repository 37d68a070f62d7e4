//! Readers of every kind: of many partitions at once, of old records, and those that do not read what they asked for.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use tonic::transport::Endpoint;

use holdfast_broker::config::Config;
use holdfast_proto::{batch, ids::Offset, v1};

use crate::rig::{Client, Rig, batch as batch_of, produce_until, soon, until};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];
/// More partitions than a broker reads at the same time, by far.
const MANY: u32 = 24;

/// One place for reads from disk.
fn slow_reads(config: Config) -> Config {
    Config { log_read_threads: 1, ..config }
}

/// As little of an answer as HTTP/2 allows leaves the broker before it is read.
fn narrow(endpoint: Endpoint) -> Endpoint {
    endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535)
}

fn request(partitions: impl IntoIterator<Item = (u32, u64)>, min_bytes: u32) -> v1::FetchRequest {
    let partition = |(partition, fetch_offset)| v1::FetchPartition {
        topic: "t".to_owned(),
        partition,
        fetch_offset,
        ..Default::default()
    };
    v1::FetchRequest {
        correlation_id: 1,
        partitions: partitions.into_iter().map(partition).collect(),
        max_wait_ms: 1_000,
        min_bytes,
        max_bytes: 0,
    }
}

/// Where each partition has been read to.
async fn read_all(client: &Client, records: u64) -> BTreeMap<u32, u64> {
    let mut ends: BTreeMap<u32, u64> = (0..MANY).map(|partition| (partition, 0)).collect();
    let (requests, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut answers = client.consumer().fetch(outgoing).await.unwrap().into_inner();
    while ends.values().any(|end| *end < records) {
        let wanted = ends.iter().filter(|(_, end)| **end < records).map(|(partition, end)| (*partition, *end));
        requests.send(request(wanted, 1)).await.unwrap();
        let answer = soon("an answer", answers.message()).await.unwrap().expect("the stream stands");
        for fetched in answer.partitions {
            // Who is refused because others hold the memory asks again.
            match fetched.error {
                Some(error) if error.name == "OVERLOADED" => continue,
                error => assert_eq!(error, None),
            }
            let next = batch::split(fetched.batches)
                .map(|one| batch::BatchHeader::parse(&one.unwrap()).unwrap().next_offset());
            let next = next.last().unwrap_or(Offset(0));
            ends.insert(fetched.partition, next.0);
        }
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_reads_many_partitions_from_disk() {
    let rig = Rig::start().await;
    let broker = rig.broker_with(1, slow_reads).await;
    rig.controller.create_topic("t", MANY, 1, ONE);
    let client = Client::connect(&broker).await;
    for partition in 0..MANY {
        produce_until(&client, "t", partition, &["a", "b"]).await;
        assert_eq!(client.stream().await.produce("t", partition, batch_of(&["c"])).await, Ok(2));
    }
    soon("the broker stops", broker.stop()).await;
    // After its start nothing is in memory.
    let broker = rig.broker_with(1, slow_reads).await;
    let client = Client::connect(&broker).await;
    until("the last is served", async || client.read("t", MANY - 1, 0).await.ok()).await;
    until("all are served", async || {
        let open = broker.context().partitions.all();
        (open.len() == MANY as usize && open.iter().all(|replica| replica.view().readable == Ok(Offset(3))))
            .then_some(())
    })
    .await;
    let all = (0..MANY).map(|partition| (partition, 0));
    let requests = futures::stream::iter([request(all, 1)]).chain(futures::stream::pending());
    let mut answers = client.consumer().fetch(requests).await.unwrap().into_inner();
    let answer = soon("one answer for all", answers.message()).await.unwrap().unwrap();
    assert_eq!(answer.partitions.len(), MANY as usize);
    assert!(read_all(&client, 3).await.values().all(|end| *end == 3));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetches_that_wait_for_more_keep_nobody_from_reading() {
    let rig = Rig::start().await;
    let broker = rig.broker_with(1, slow_reads).await;
    rig.controller.create_topic("t", MANY, 1, ONE);
    let client = Client::connect(&broker).await;
    for partition in 0..MANY {
        produce_until(&client, "t", partition, &["a"]).await;
    }
    soon("the broker stops", broker.stop()).await;
    let broker = rig.broker_with(1, slow_reads).await;
    let client = Client::connect(&broker).await;
    until("all are served", async || {
        let open = broker.context().partitions.all();
        (open.len() == MANY as usize && open.iter().all(|replica| replica.view().readable == Ok(Offset(1))))
            .then_some(())
    })
    .await;
    // They find something on disk, and want more than there is.
    let waiting =
        (0..MANY).map(|partition| v1::FetchRequest { max_wait_ms: 30_000, ..request([(partition, 0)], 100_000) });
    let requests = futures::stream::iter(waiting).chain(futures::stream::pending());
    let _unread = client.consumer().fetch(requests).await.unwrap();
    assert!(read_all(&client, 1).await.values().all(|end| *end == 1));
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_does_not_read_its_answers_is_not_read_from() {
    const FAR_TOO_MANY: u64 = 400_000;
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let mut stream = client.stream().await;
    let mut sent = 0;
    while sent < FAR_TOO_MANY {
        let sending = stream.send("nowhere", 0, bytes::Bytes::from_static(b"garbage"));
        if tokio::time::timeout(Duration::from_secs(1), sending).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < FAR_TOO_MANY, "{sent} requests were taken whose answers nobody read");
    for expected in 1..=sent {
        assert_eq!(stream.answer().await.correlation_id, expected);
    }
    soon("the broker stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_reading_take_nothing_from_the_others_for_long() {
    const STOPPED: usize = 60;
    let rig = Rig::start().await;
    let broker = rig.broker_with(1, |config| Config { fetch_memory_bytes: 32 << 20, ..config }).await;
    rig.controller.create_topic("t", MANY, 1, ONE);
    let client = Client::connect(&broker).await;
    let large = "x".repeat(900_000);
    for partition in 0..MANY {
        produce_until(&client, "t", partition, &[&large]).await;
    }
    let all = || (0..MANY).map(|partition| (partition, 0));
    let mut stopped = Vec::new();
    for _ in 0..STOPPED {
        // Each on a connection of its own.
        let client = Client::connect_with(&broker, narrow).await;
        let requests = futures::stream::iter([request(all(), 1), request(all(), 1)]).chain(futures::stream::pending());
        stopped.push(client.consumer().fetch(requests).await.unwrap().into_inner());
    }
    assert!(read_all(&client, 1).await.values().all(|end| *end == 1));
    let mut answers = futures::stream::select_all(stopped);
    // Some waited for the room of those that stopped before, which were closed to make it: the fault has bitten.
    while soon("a stream that was closed", answers.next()).await.expect("a stream is left").is_ok() {}
    soon("the broker stops", broker.stop()).await;
}
