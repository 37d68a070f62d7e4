//! Clusters of every shape: as many brokers, topics and partitions, records as large, as a shape says. Each is written,
//! stopped in order, started again, so that nothing is in memory, and read back beside readers that stand still.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use holdfast_checker::{
    account::Account,
    ledger::{Ledger, Summary, Watch},
    readback,
    tracker::Tracker,
};
use holdfast_client::{Client, ClientConfig, Compression, Consumer, NewTopic, Producer, StartAt};
use holdfast_eventually::{PATIENCE, soon};
use holdfast_local::{ClusterSpec, ProcessCluster};

use super::load::send;

/// How long a record may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(2);
/// Readers that take one record and then stand still.
const STOPPED_READERS: usize = 8;

/// What is different from cluster to cluster.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Brokers; up to three replicas of each partition.
    pub brokers: u32,
    /// Topics, all of this shape.
    pub topics: u32,
    /// Partitions of each topic.
    pub partitions: u32,
    /// Records in each partition.
    pub records: u32,
    /// Bytes of a record's value.
    pub value_bytes: usize,
    /// How batches are compressed.
    pub compression: Compression,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, topics, partitions, records, value_bytes, compression } = self;
        write!(
            f,
            "{brokers} brokers, {topics} x {partitions} partitions, {records} x {value_bytes} bytes, {compression}"
        )
    }
}

impl Shape {
    /// Writes, starts everything again, reads, and asserts that every acknowledged record is there once and in order.
    pub async fn prove(&self) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (mut cluster, client) = self.start(&folder).await;
        let began = Instant::now();
        let mut accounts = Vec::new();
        for topic in 0..self.topics {
            accounts.push(self.write(&client, &Self::name(topic)).await);
        }
        let written = began.elapsed();
        cluster.down(PATIENCE).await.expect("the cluster ends in order");
        cluster.start_all().expect("the programs start");
        cluster.wait_ready(PATIENCE).await.expect("the cluster becomes ready");
        let mut stopped = Vec::new();
        for _ in 0..STOPPED_READERS {
            // Little is taken in advance, so that it soon asks for nothing any more.
            let reader = Consumer::builder(client.clone())
                .partition_max_bytes(1 << 10)
                .fetch_max_bytes(1 << 10)
                .prefetch_bytes(1 << 10)
                .assign_topic(Self::name(0), StartAt::Earliest)
                .build();
            let mut reader = soon("a reader", Box::pin(reader)).await.expect("it finds its partitions");
            soon("a record", reader.next_batch()).await.expect("the reader goes on").expect("no fetch fails");
            stopped.push(reader);
        }
        let began = Instant::now();
        self.read_back(&client, accounts).await;
        println!("{self}: written in {written:.1?}, read after a restart in {:.1?}", began.elapsed());
        drop(stopped);
        cluster.kill_all();
    }

    /// Asserts that each topic holds every record of its account, once and in order, and that all were acknowledged.
    pub async fn read_back(&self, client: &Client, accounts: Vec<Account>) {
        for (topic, account) in (0..self.topics).zip(accounts) {
            let acked = account.acked();
            assert_eq!(acked, u64::from(self.partitions * self.records), "{self}: all is acknowledged");
            let topic = Self::name(topic);
            let reading = readback::audit(client, &topic, account.audit(), |_| ());
            let verdict = reading.await.expect("everything can be read back");
            assert!(verdict.is_clean(), "{self}: {verdict:?}");
        }
    }

    /// Starts a cluster in `folder` and creates the topics.
    pub async fn start(&self, folder: &TempDir) -> (ProcessCluster, Client) {
        let controllers = if self.brokers == 1 { 1 } else { 3 };
        let tied = ClusterSpec::tied(folder.path()).expect("the programs were built: run `make test`");
        let spec = ClusterSpec { brokers: self.brokers, controllers, ..tied };
        let mut cluster = ProcessCluster::create(&spec).expect("the cluster can be laid out");
        cluster.start_all().expect("the programs start");
        cluster.wait_ready(PATIENCE).await.expect("the cluster becomes ready");
        let client = Client::connect(ClientConfig::new(cluster.bootstrap())).await.expect("the cluster answers");
        let replicas = self.brokers.min(3);
        for topic in 0..self.topics {
            let topic = NewTopic::new(Self::name(topic)).partitions(self.partitions).replication_factor(replicas);
            let topic = topic.config("min.insync.replicas", replicas.div_ceil(2).to_string());
            client.admin().create_topic(topic).await.expect("the topic is created");
        }
        (cluster, client)
    }

    /// Writes every record of one topic, and gives the account of what was acknowledged.
    pub async fn write(&self, client: &Client, topic_name: &str) -> Account {
        let producer = Producer::builder(client.clone())
            .compression(self.compression)
            .delivery_timeout(DELIVERY_TIMEOUT)
            .max_block(DELIVERY_TIMEOUT)
            .build()
            .await
            .expect("the cluster gives a producer id");
        let topic = producer.topic(topic_name).await.expect("the topic is there");
        let watch = Arc::new(Watch::default());
        let tracker = Tracker::start(self.partitions, |partition| Ledger::new(partition, Arc::clone(&watch)));
        for sequence in 0..u64::from(self.records) {
            for partition in 0..self.partitions {
                let key = format!("{topic_name}-{partition}");
                let number = sequence.to_string();
                let value = number.clone() + &"x".repeat(self.value_bytes.saturating_sub(number.len()));
                send(&producer, &topic, &tracker, (partition, sequence), (&key, &value)).await;
            }
        }
        let _report = producer.close(DELIVERY_TIMEOUT).await;
        let summary = Summary::close(tracker.finish().await);
        assert_eq!(summary.refused, 0, "{self}: {:?}", summary.first_problem);
        summary.account
    }

    /// Name of a topic, by its number from 0 on.
    pub fn name(topic: u32) -> String {
        format!("topic-{topic}")
    }
}
