//! Idempotent producers that write to every partition until they are told to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use holdfast_checker::{
    account::Record,
    ledger::{Ledger, Summary, Watch, sequence_header},
    tracker::Tracker,
};
use holdfast_client::{Client, Producer, Record as Outgoing, TopicHandle};
use holdfast_eventually::until;
use holdfast_proto::ids::PartitionIndex;

use super::fixture::{PARTITIONS, TOPIC};

/// How long a record may take: longer than any outage that a test makes.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(2);

/// Loads that were started so far: each writes keys of its own, so that several may follow each other on one cluster.
static LOADS: AtomicU64 = AtomicU64::new(0);

/// Producers at work as tasks of this process.
pub struct Load {
    /// What was acknowledged so far.
    pub watch: Arc<Watch>,
    stop: Arc<AtomicBool>,
    producers: Vec<JoinHandle<Vec<Ledger>>>,
}

impl Load {
    /// Starts this many producers, each of which writes about `per_second` records a second over all partitions.
    pub fn start(client: &Client, producers: u32, per_second: u32) -> Self {
        let (watch, stop) = (Arc::new(Watch::default()), Arc::new(AtomicBool::new(false)));
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let producers = (0..producers)
            .map(|number| {
                let name = format!("load {load}, producer {number}");
                let run = produce(client.clone(), name, per_second, Arc::clone(&watch), Arc::clone(&stop));
                tokio::spawn(run)
            })
            .collect();
        Self { watch, stop, producers }
    }

    /// Waits until this many more records were acknowledged: the load is seen to flow.
    pub async fn flows(&self, more: u64) {
        let before = self.watch.acked();
        until("records are acknowledged", async || self.watch.acked() >= before + more).await;
    }

    /// Ends the load, waits until the outcome of each record is known, and gives the sum of the ledgers.
    pub async fn stop(self) -> Summary {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledgers = Vec::new();
        for producer in self.producers {
            ledgers.extend(producer.await.expect("a producer's task ends"));
        }
        Summary::close(ledgers)
    }
}

async fn produce(
    client: Client,
    name: String,
    per_second: u32,
    watch: Arc<Watch>,
    stop: Arc<AtomicBool>,
) -> Vec<Ledger> {
    let producer = Producer::builder(client)
        // Small batches: many are in flight when a leader dies.
        .batch_size_bytes(2 * 1024)
        .delivery_timeout(DELIVERY_TIMEOUT)
        .max_block(DELIVERY_TIMEOUT)
        .build()
        .await
        .expect("the cluster gives a producer id");
    let topic = producer.topic(TOPIC).await.expect("the topic is there");
    let tracker = Tracker::start(PARTITIONS, |partition| Ledger::new(partition, Arc::clone(&watch)));
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut sequence = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        for _ in 0..per_second.div_ceil(100) {
            for partition in 0..PARTITIONS.min(per_second) {
                let key = format!("{name}, partition {partition}");
                let value = format!("record {sequence} of {key}: {}", "x".repeat((sequence % 200) as usize));
                send(&producer, &topic, &tracker, (partition, sequence), (&key, &value)).await;
            }
            sequence += 1;
        }
    }
    let _report = producer.close(DELIVERY_TIMEOUT).await;
    tracker.finish().await
}

/// Sends one record to a partition and follows it to its end.
pub(super) async fn send(
    producer: &Producer,
    topic: &TopicHandle,
    tracker: &Tracker<Record, Ledger>,
    (partition, sequence): (u32, u64),
    (key, value): (&str, &str),
) {
    let headers = [sequence_header(sequence)];
    let identity = Record::new(key.as_bytes(), sequence, value.as_bytes());
    let record = Outgoing::new(topic).partition(PartitionIndex(partition)).key(key).value(value).headers(&headers);
    let delivery = producer.enqueue(record).await.expect("the producer's buffer has room within its patience");
    tracker.track(partition, identity, Instant::now(), delivery).await.expect("the load ends before its followers");
}
