//! A cluster on which one fault after the other is tried, and everything that was ever acknowledged there is looked for
//! after each.

use holdfast_checker::{
    account::{Account, Verdict},
    readback,
};
use holdfast_client::{MessageBatch, OffsetQuery, OffsetSpec};
use holdfast_eventually::{PATIENCE, until};
use holdfast_local::NodeName;
use holdfast_proto::{
    ids::{PartitionIndex, TopicId, TopicPartition},
    v1::{PartitionInfo, TopicInfo},
};

use super::{
    fixture::{Fixture, PARTITIONS, Setup, TOPIC},
    folders::{Copy, Folder},
    load::Load,
    onlooker::{Content, Onlooker, identity},
    replicas::compare,
};

/// Segments of the stand's topic: so small that each case has sealed ones, bytes.
const SEGMENT_BYTES: &str = "16384";

/// The cluster, and the account of all loads that have ended.
pub struct Stand {
    /// Three controllers, three brokers, and the topic, whose segments are small.
    pub fixture: Fixture,
    account: Account,
    onlooker: Onlooker,
}

impl Stand {
    /// Starts the cluster and creates the topic.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// As [`Self::start`], with this set up.
    pub async fn start_with(setup: Setup<'_>) -> Self {
        let topic = [&[("segment.bytes", SEGMENT_BYTES)], setup.topic].concat();
        let fixture = Fixture::start_with(Setup { topic: &topic, ..setup }).await;
        let onlooker = Onlooker::start(fixture.client.clone()).await;
        Self { fixture, account: Account::default(), onlooker }
    }

    /// Starts a load that goes on until [`Self::prove`] takes it.
    pub fn load(&self) -> Load {
        Load::start(&self.fixture.client, 2, 100)
    }

    /// Writes so many records and more, and waits until all are acknowledged: nothing is on its way then.
    pub async fn write(&mut self, records: u64) {
        let load = self.load();
        load.flows(records).await;
        self.take(load).await;
    }

    /// Ends a load and takes it into the account.
    pub async fn take(&mut self, load: Load) {
        let summary = load.stop().await;
        assert_eq!(summary.refused, 0, "a record was refused: {:?}", summary.first_problem);
        self.account.absorb(summary.account);
    }

    /// Waits until all replicas are in sync, reads back everything that was ever written here, holds it against the account
    /// and against what a reader was given meanwhile, and compares the replicas, batch by batch.
    pub async fn prove(&self, case: &str) {
        let acked = self.account.acked();
        assert!(acked > 0, "{case}: nothing was acknowledged: the case proved nothing");
        self.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let (verdict, content) = self.read().await;
        assert!(verdict.is_clean(), "{case}: {verdict:?}");
        self.onlooker.agrees(&content).await.unwrap_or_else(|wrong| panic!("{case}: {wrong}"));
        let batches = self.compare().await.unwrap_or_else(|difference| panic!("{case}: {difference}"));
        println!("{case}: acked={acked} read={} in doubt={}, {batches} batches equal", verdict.read, verdict.in_doubt);
    }

    /// Reads everything back. The partitions must be readable; not all replicas need to be in sync.
    pub async fn read_back(&self) -> Verdict {
        self.read().await.0
    }

    async fn read(&self) -> (Verdict, Content) {
        let (mut audit, mut content) = (self.account.clone().audit(), Content::default());
        let each = |batch: MessageBatch| {
            content.take(&batch).expect("one reader is given each offset once");
            for record in &batch.records {
                audit.read(batch.partition.0, record.offset.0, identity(record));
            }
        };
        let read = readback::read_all(&self.fixture.client, TOPIC, each, |_| ()).await;
        read.expect("everything can be read back");
        (audit.finish(), content)
    }

    /// Compares the replicas that are in sync, and gives the number of equal batches. Nothing may be produced meanwhile.
    pub async fn compare(&self) -> Result<usize, String> {
        let mut batches = 0;
        let topic = self.topic().await;
        for info in &topic.partitions {
            let partition = partition_of(&topic, info.partition);
            let folder = |broker: &u32| {
                let node = NodeName::broker(*broker);
                (node.to_string(), Folder::of(&self.fixture.cluster, node).partition(partition).path().to_owned())
            };
            let folders: Vec<_> = info.isr.iter().map(folder).collect();
            let end = self.high_watermark(info.partition).await;
            batches +=
                compare(&folders, end).map_err(|difference| format!("{TOPIC}-{}: {difference}", info.partition))?;
        }
        Ok(batches)
    }

    /// First offset that a partition still holds.
    pub async fn log_start(&self, partition: u32) -> u64 {
        self.offset(partition, OffsetSpec::Earliest).await
    }

    async fn high_watermark(&self, partition: u32) -> u64 {
        self.offset(partition, OffsetSpec::Latest).await
    }

    async fn offset(&self, partition: u32, spec: OffsetSpec) -> u64 {
        let query = OffsetQuery { topic: TOPIC.to_owned(), partition: PartitionIndex(partition), spec };
        let found = self.fixture.client.admin().list_offsets(&[query]).await.expect("the leader tells");
        found[0].offset.expect("a partition has both ends").0
    }

    /// The topic as a broker that answers knows it.
    pub async fn topic(&self) -> TopicInfo {
        until("a broker knows the topic", async || self.fixture.cluster.topic(TOPIC).await).await
    }

    /// One partition of it.
    pub async fn partition(&self, index: u32) -> PartitionInfo {
        let topic = self.topic().await;
        topic.partitions.into_iter().find(|info| info.partition == index).expect("the topic has it")
    }

    /// Which partition that is, as folders name it.
    pub async fn id(&self, index: u32) -> TopicPartition {
        partition_of(&self.topic().await, index)
    }

    /// A partition that the broker leads, and one that it follows. Waits until there are both.
    pub async fn led_and_followed(&self, broker: NodeName) -> (u32, u32) {
        until(&format!("{broker} leads and follows"), async || {
            let topic = self.fixture.cluster.topic(TOPIC).await?;
            let find = |leads: bool| {
                let is_one = |info: &&PartitionInfo| {
                    info.leader.is_some_and(|leader| (leader == broker.number) == leads)
                        && info.isr.contains(&broker.number)
                };
                topic.partitions.iter().find(is_one).map(|info| info.partition)
            };
            Some((find(true)?, find(false)?))
        })
        .await
    }

    /// Copies the data folder of a running node as a snapshot of its volume does: of one moment.
    pub fn copy_running(&mut self, node: NodeName) -> Copy {
        self.fixture.cluster.suspend(node).expect("the node runs");
        let copy = Folder::of(&self.fixture.cluster, node).copy();
        self.fixture.cluster.resume(node).expect("the node goes on");
        copy
    }

    /// Kills a node with SIGKILL.
    pub fn kill(&mut self, node: NodeName) {
        self.fixture.cluster.kill(node).expect("the node runs, and is killed");
    }

    /// Kills all brokers, and waits until the controllers have noticed: who is in sync or eligible is settled then. Their
    /// sessions end together, and all that were in sync stay eligible.
    pub async fn kill_all_brokers(&mut self) {
        for broker in BROKERS {
            self.kill(broker);
        }
        self.until_fenced().await;
    }

    /// Waits until all brokers are fenced; none may run.
    pub async fn until_fenced(&self) {
        until("all brokers are fenced", async || {
            let view = self.fixture.cluster.describe().await.ok()?;
            view.brokers.iter().all(|broker| broker.fenced).then_some(())
        })
        .await;
    }

    /// Waits until a node's process has ended by itself.
    pub async fn until_ended(&mut self, node: NodeName) {
        let cluster = &mut self.fixture.cluster;
        until(&format!("{node} has ended"), async || {
            cluster.status().into_iter().any(|status| status.name == node && status.pid.is_none())
        })
        .await;
    }

    /// Starts a node, and does not wait for it.
    pub fn begin(&mut self, node: NodeName) {
        self.fixture.cluster.start(node).expect("the node starts");
    }

    /// Starts all brokers but one, and does not wait for them.
    pub fn begin_others(&mut self, broker: NodeName) {
        BROKERS.into_iter().filter(|other| *other != broker).for_each(|other| self.begin(other));
    }
}

/// The brokers of the stand.
pub const BROKERS: [NodeName; 3] = [NodeName::broker(1), NodeName::broker(2), NodeName::broker(3)];

/// Every partition of the stand's topic.
pub fn partitions() -> impl Iterator<Item = u32> {
    0..PARTITIONS
}

/// The partition of a topic with this index, as folders name it.
pub fn partition_of(topic: &TopicInfo, index: u32) -> TopicPartition {
    let topic_id = TopicId::from_bytes(&topic.topic_id).expect("a topic id has 16 bytes");
    TopicPartition { topic_id, partition: PartitionIndex(index) }
}
