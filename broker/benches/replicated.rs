//! Three brokers in this process, replication factor 3, fsync before every acknowledgement: throughput of 64-KiB
//! batches, and latency at a fixed rate. The producer is as thin as can be, so that the brokers are what is measured.
//!
//! `cargo bench -p holdfast-broker --bench replicated [-- SECONDS]`

#[path = "../tests/broker/fake_admin.rs"]
mod fake_admin;
#[path = "../tests/broker/fake_controller.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod fake_controller;
#[path = "../tests/broker/rig.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod rig;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use holdfast_broker::life::start::Broker;
use holdfast_proto::v1;

use rig::{Client, Rig, produce_until, until};

const PARTITIONS: u32 = 6;

/// Batches in flight a partition: what an idempotent producer has.
const IN_FLIGHT: usize = 5;

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(Duration::from_secs(seconds)));
}

async fn run(length: Duration) {
    let rig = Rig::start().await;
    let brokers = rig.brokers(3).await;
    let topic_id = rig.controller.create_topic("t", PARTITIONS, 3, &[]);
    until("every replica is in sync", async || {
        let image = rig.controller.image();
        image.topic(topic_id)?.partitions().all(|(_, state)| state.isr.len() == 3).then_some(())
    })
    .await;
    for partition in 0..PARTITIONS {
        produce_until(&at_leader(&brokers, partition).await, "t", partition, &["first"]).await;
    }
    for (name, record_bytes) in [("1 KiB", 1024), ("100 B", 100)] {
        throughput(&brokers, name, record_bytes, length).await;
    }
    latency(&brokers, length).await;
    read_back(&brokers).await;
    idle(length).await;
    println!("cluster {}", rig.controller.cluster_id);
    for broker in brokers {
        broker.kill().await;
    }
}

async fn at_leader(brokers: &[Broker], partition: u32) -> Client {
    let any = Client::connect(&brokers[0]).await;
    let leader = until("the broker knows the leader", async || {
        let request = v1::GetMetadataRequest { topics: vec!["t".to_owned()], ..Default::default() };
        let topic = any.admin().get_metadata(request).await.unwrap().into_inner().topics.pop()?;
        topic.partitions.get(partition as usize)?.leader
    })
    .await;
    Client::connect(brokers.iter().find(|broker| broker.context().identity.broker_id.0 == leader).unwrap()).await
}

fn batch(record_bytes: usize, records: usize) -> Bytes {
    let value = "x".repeat(record_bytes - 10);
    rig::batch(&vec![value.as_str(); records])
}

async fn throughput(brokers: &[Broker], name: &str, record_bytes: usize, length: Duration) {
    let records = 65_000 / record_bytes;
    let bytes = batch(record_bytes, records);
    let started = Instant::now();
    let mut producers = Vec::new();
    for partition in 0..PARTITIONS {
        let client = at_leader(brokers, partition).await;
        let bytes = bytes.clone();
        producers.push(tokio::spawn(async move {
            let mut stream = client.stream().await;
            let mut answered = 0_usize;
            for _ in 0..IN_FLIGHT {
                stream.send("t", partition, bytes.clone()).await;
            }
            while started.elapsed() < length {
                let answer = stream.answer().await;
                assert_eq!(answer.error, None);
                answered += 1;
                stream.send("t", partition, bytes.clone()).await;
            }
            for _ in 0..IN_FLIGHT {
                stream.answer().await;
            }
            answered
        }));
    }
    let mut answered = 0;
    for producer in producers {
        answered += producer.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {:.0} records/s, {:.1} MB/s, {answered} batches of {} bytes",
        (answered * records) as f64 / seconds,
        (answered * bytes.len()) as f64 / seconds / 1e6,
        bytes.len()
    );
}

async fn latency(brokers: &[Broker], length: Duration) {
    let bytes = batch(1024, 1);
    let mut clients = Vec::new();
    for partition in 0..PARTITIONS {
        clients.push(at_leader(brokers, partition).await.stream().await);
    }
    let mut producers = Vec::new();
    for (partition, mut stream) in clients.into_iter().enumerate() {
        let bytes = bytes.clone();
        producers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            let mut ticks = tokio::time::interval(Duration::from_millis(u64::from(PARTITIONS)));
            let started = Instant::now();
            while started.elapsed() < length {
                ticks.tick().await;
                // From the sending: the timer's own resolution of a millisecond would be most of what is seen.
                let sent = Instant::now();
                stream.send("t", partition as u32, bytes.clone()).await;
                let answer = stream.answer().await;
                assert_eq!(answer.error, None);
                taken.push(sent.elapsed());
            }
            taken
        }));
    }
    let mut taken = Vec::new();
    for producer in producers {
        taken.extend(producer.await.unwrap());
    }
    taken.sort_unstable();
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "1 KiB at 1,000 records/s: {} sent, p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        taken.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// Everything of every partition, as a consumer that starts at the beginning reads it.
async fn read_back(brokers: &[Broker]) {
    let started = Instant::now();
    let mut bytes = 0;
    for partition in 0..PARTITIONS {
        let client = at_leader(brokers, partition).await;
        assert_eq!(client.read("t", partition, 0).await.unwrap()[0], "first");
        let (requests, outgoing) = tokio::sync::mpsc::channel(1);
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let mut answers = client.consumer().fetch(outgoing).await.unwrap().into_inner();
        let mut fetch_offset = 0;
        loop {
            let target =
                v1::FetchPartition { topic: "t".to_owned(), partition, fetch_offset, ..v1::FetchPartition::default() };
            let request = v1::FetchRequest { partitions: vec![target], ..v1::FetchRequest::default() };
            requests.send(request).await.unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            let Some(found) = answer.partitions.into_iter().next() else { break };
            assert_eq!(found.error, None);
            bytes += found.batches.len();
            for batch in holdfast_proto::batch::split(found.batches) {
                fetch_offset = holdfast_proto::batch::BatchHeader::parse(&batch.unwrap()).unwrap().next_offset().0;
            }
        }
    }
    println!("read back: {:.1} MB/s, {} MB", bytes as f64 / started.elapsed().as_secs_f64() / 1e6, bytes / 1_000_000);
}

/// What three brokers, the controller and the clients of one process use when nothing happens.
async fn idle(length: Duration) {
    let status = |name: &str| {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // Fields 14 and 15 count hundredths of a second.
    let ticks = || {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap();
        text.split_whitespace().skip(13).take(2).map(|field| field.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = ticks();
    tokio::time::sleep(length * 2).await;
    let percent = (ticks() - before) as f64 / (2.0 * length.as_secs_f64());
    println!("idle: {percent:.2} % of a core, {} threads, {} MB resident", status("Threads"), status("VmRSS") / 1024);
}
