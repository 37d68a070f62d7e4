//! Damage that no reader has met.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use holdfast_broker::{config::Config, life::start::Broker};
use holdfast_log::ScrubPosition;
use holdfast_metadata::{Command, PartitionState, trust::DistrustReason};
use holdfast_proto::{
    batch::BatchHeader,
    ids::{BrokerId, Offset, PartitionIndex, TopicId, TopicPartition},
    v1,
};

use crate::{
    rig::{Client, Rig, produce_until, soon, until},
    told::told,
};

const SEGMENT: &str = "00000000000000000000.log";

/// Two brokers that scrub all the time, and a topic of two partitions that both hold, with closed segments.
struct Scene {
    rig: Rig,
    brokers: Vec<Broker>,
    topic_id: TopicId,
}

impl Scene {
    async fn start(rig: Rig) -> Self {
        Self::start_with(rig, Config::default().scrub_bytes_per_second).await
    }

    async fn start_with(rig: Rig, scrub_bytes_per_second: u64) -> Self {
        let mut brokers = Vec::new();
        for id in 1..=2 {
            let change = |config| Config {
                scrub_interval_ms: 100,
                scrub_bytes_per_second,
                replica_lag_time_max_ms: 2_000,
                ..config
            };
            brokers.push(rig.broker_with(id, change).await);
        }
        let small = [("segment.bytes", "65536"), ("min.insync.replicas", "1")];
        let topic_id = rig.controller.create_topic("t", 2, 2, &small);
        let scene = Self { rig, brokers, topic_id };
        for (partition, letter) in [(0, "a"), (1, "b")] {
            let leading = until("it is led", async || scene.state(partition).leader).await;
            let client = scene.client(leading).await;
            for _ in 0..5 {
                produce_until(&client, "t", partition, &[&letter.repeat(30_000)]).await;
            }
            until("both are in sync", async || (scene.state(partition).isr.len() == 2).then_some(())).await;
        }
        scene
    }

    fn at(&self, partition: u32) -> TopicPartition {
        TopicPartition { topic_id: self.topic_id, partition: PartitionIndex(partition) }
    }

    fn state(&self, partition: u32) -> PartitionState {
        self.rig.controller.image().partition(self.at(partition)).unwrap().clone()
    }

    async fn client(&self, broker: BrokerId) -> Client {
        Client::connect(&self.brokers[broker.0 as usize - 1]).await
    }

    fn segment(&self, broker: BrokerId, partition: u32) -> PathBuf {
        self.rig.data_dir(broker.0).join("partitions").join(self.at(partition).to_string()).join(SEGMENT)
    }

    /// Puts the first batch of partition 1 where that of partition 0 was: as long, at the same offset, with a right CRC. Gives
    /// the segment and what was in it.
    fn misplace(&self, broker: BrokerId) -> (PathBuf, Vec<u8>) {
        let path = self.segment(broker, 0);
        let (own, other) = (std::fs::read(&path).unwrap(), std::fs::read(self.segment(broker, 1)).unwrap());
        let size = BatchHeader::parse(&own).unwrap().size_bytes;
        assert_eq!(BatchHeader::parse(&other).unwrap().size_bytes, size);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&other[..size], 0).unwrap();
        (path, own)
    }

    /// Waits until both replicas of partition 0 are in sync, and this segment is as it was.
    async fn is_copied_again(&self, path: &Path, own: &[u8]) {
        until("it is copied again", async || {
            let state = self.state(0);
            let is_known = state.distrusted.iter().all(|distrusted| distrusted.reason == DistrustReason::Damaged);
            assert!(is_known, "{:?}", state.distrusted);
            (state.isr.len() == 2 && std::fs::read(path).is_ok_and(|bytes| bytes == own)).then_some(())
        })
        .await;
    }

    async fn end(self, leader: BrokerId) {
        let read = self.client(leader).await.read("t", 0, 0).await.unwrap();
        assert!(read.iter().all(|value| value.starts_with('a')), "nothing of the other partition was copied or served");
        for broker in self.brokers {
            soon("it stops", broker.stop()).await;
        }
    }
}

/// A closed segment of the leader gets the batch of another partition. No one reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_a_misplaced_batch_resigns_and_is_copied_again() {
    let scene = Scene::start(Rig::start().await).await;
    let leading = scene.state(0).leader.unwrap();
    let (path, own) = scene.misplace(leading);
    let new = until("another leads", async || scene.state(0).leader.filter(|leader| *leader != leading)).await;
    scene.is_copied_again(&path, &own).await;
    scene.end(new).await;
}

/// Controllers of metadata version 1 hear nothing of single replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_version_is_finalised_a_damaged_leader_serves_until_another_leads() {
    let scene = Scene::start(Rig::start_unfinalised().await).await;
    let leading = scene.state(0).leader.unwrap();
    let untouched = scene.state(1);
    let (path, own) = scene.misplace(leading);
    let last = until("it is to lead last", async || {
        let state = scene.state(0);
        (state.replicas.last() == Some(&leading) && state.leader == Some(leading)).then_some(state)
    })
    .await;
    assert_eq!((last.isr.len(), last.replicas.len()), (2, 2), "nothing but the order is another");
    // What is sound is served and taken meanwhile.
    let client = scene.client(leading).await;
    let end = produce_until(&client, "t", 0, &["a new one"]).await;
    assert_eq!(client.read("t", 0, end).await.unwrap(), ["a new one"]);
    if let Ok(read) = client.read("t", 0, 0).await {
        // Out of memory.
        assert!(read.iter().all(|value| value.starts_with('a')), "what is damaged is not served");
    }
    // As the controllers do by themselves every few seconds.
    let elect = Command::ElectLeaders { partitions: vec![scene.at(0)] };
    scene.rig.controller.run(&elect).unwrap();
    let new = scene.state(0).leader.unwrap();
    assert_ne!(new, leading);
    let context = scene.brokers[leading.0 as usize - 1].context();
    until("the damaged one is closed", async || context.partitions.get(scene.at(0)).is_none().then_some(())).await;
    let client = scene.client(new).await;
    produce_until(&client, "t", 0, &["another"]).await;
    assert_eq!(scene.state(0).isr, [new], "its leader does without it");
    assert_eq!(scene.state(1), untouched, "its neighbour goes on");
    assert_eq!(client.read("t", 0, end).await.unwrap()[0], "a new one");

    scene.rig.controller.finalise();
    scene.is_copied_again(&path, &own).await;
    scene.end(new).await;
}

/// What a segment is then, to all who read it: EIO. The memory of the process, below where any is mapped.
const UNREADABLE: &str = "/proc/self/mem";

fn make_unreadable(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink(UNREADABLE, path).unwrap();
    assert_eq!(std::fs::read(path).unwrap_err().raw_os_error(), Some(5), "as of a disk that fails");
}

/// The disk does not read a closed segment of the leader any more, however often it is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_does_not_read_resigns_and_is_copied_again() {
    let scene = Scene::start(Rig::start().await).await;
    let leading = scene.state(0).leader.unwrap();
    let path = scene.segment(leading, 0);
    let own = std::fs::read(&path).unwrap();
    make_unreadable(&path);
    let new = until("another leads", async || scene.state(0).leader.filter(|leader| *leader != leading)).await;
    scene.is_copied_again(&path, &own).await;
    let aside = asides(&scene.brokers[leading.0 as usize - 1]);
    assert_eq!(aside, [scene.at(0)], "what is left of it is kept");
    scene.end(new).await;
}

/// The same where nothing reads but look-ups by time. No scrub finds it before them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_does_not_read_for_lookups_by_time_resigns_too() {
    let scene = Scene::start_with(Rig::start().await, 0).await;
    let leading = scene.state(0).leader.unwrap();
    let path = scene.segment(leading, 0);
    let own = std::fs::read(&path).unwrap();
    make_unreadable(&path);
    let client = scene.client(leading).await;
    let new = until("another leads", async || {
        let position = Some(v1::offset_query::Position::TimestampMs(0));
        let query = v1::OffsetQuery { topic: "t".to_owned(), position, ..Default::default() };
        let answer = client.consumer().list_offsets(v1::ListOffsetsRequest { queries: vec![query] }).await;
        assert!(answer.is_err() || scene.state(0).leader != Some(leading), "{answer:?}");
        scene.state(0).leader.filter(|leader| *leader != leading)
    })
    .await;
    scene.is_copied_again(&path, &own).await;
    scene.end(new).await;
}

/// The digests of a closed segment cannot be read, or are gone: nothing would tell a batch of another place there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_that_are_lost_are_made_again() {
    let scene = Scene::start(Rig::start().await).await;
    let leading = scene.state(0).leader.unwrap();
    let path = scene.segment(leading, 0).with_extension("digest");
    let before = std::fs::read(&path).unwrap();
    let harms: [fn(&Path); 2] = [make_unreadable, |path| std::fs::remove_file(path).unwrap()];
    for harm in harms {
        harm(&path);
        let is_again = async || std::fs::read(&path).ok().filter(|bytes| *bytes == before);
        until("they are made again", is_again).await;
    }
    assert_eq!(scene.state(0).leader, Some(leading), "nothing is said against the replica");
    let (path, own) = scene.misplace(leading);
    let new = until("another leads", async || scene.state(0).leader.filter(|leader| *leader != leading)).await;
    scene.is_copied_again(&path, &own).await;
    scene.end(new).await;
}

fn asides(broker: &Broker) -> Vec<TopicPartition> {
    broker.context().logs.data_dir.asides().unwrap().into_iter().map(|aside| aside.partition).collect()
}

/// Brokers that scrub all the time, with a topic of three partitions of which each has a replica. The first one's disk then
/// reads the first segment of none of them.
async fn with_a_failing_disk(rig: &Rig, brokers: u32) -> Vec<Broker> {
    let mut all = Vec::new();
    for id in 1..=brokers {
        all.push(rig.broker_with(id, |config| Config { scrub_interval_ms: 100, ..config }).await);
    }
    let small = [("segment.bytes", "65536"), ("min.insync.replicas", "1")];
    let topic_id = rig.controller.create_topic("t", 3, brokers, &small);
    let state = |partition| {
        let at = TopicPartition { topic_id, partition: PartitionIndex(partition) };
        rig.controller.image().partition(at).unwrap().clone()
    };
    for partition in 0..3 {
        let leading = until("it is led", async || state(partition).leader).await;
        let client = Client::connect(&all[leading.0 as usize - 1]).await;
        for _ in 0..5 {
            produce_until(&client, "t", partition, &[&"a".repeat(30_000)]).await;
        }
        until("all are in sync", async || (state(partition).isr.len() == brokers as usize).then_some(())).await;
    }
    for partition in 0..3 {
        let folder = rig.data_dir(1).join("partitions").join(format!("{topic_id}-{partition}"));
        make_unreadable(&folder.join(SEGMENT));
    }
    all
}

/// Not one replica, but all of them, and another broker has them too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_which_the_disk_does_not_read_ends_with_a_code_of_its_own() {
    let rig = Rig::start().await;
    let brokers = with_a_failing_disk(&rig, 2).await;
    let failed = tokio::time::timeout(std::time::Duration::from_secs(90), brokers[0].failed());
    let fatal = failed.await.expect("it ends");
    assert_eq!(fatal.number(), 14, "{fatal}");
    assert!(fatal.to_string().contains("replicas cannot be read: replace the disk"), "{fatal}");
    for broker in brokers {
        broker.kill().await;
    }
}

/// The same where nobody else has them: an end would take away the rest, and the next start would find the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failing_disk_still_reads_of_the_last_replicas_is_served() {
    let rig = Rig::start().await;
    let brokers = with_a_failing_disk(&rig, 1).await;
    let broker = &brokers[0];
    let all_kept = async || broker.context().findings.kept().filter(|kept| kept.count == 3);
    until("all are damaged, and go on", all_kept).await;
    assert_eq!(told(broker, "holdfast_broker_replicas", &["kept"]), Some(3));
    assert_eq!(told(broker, "holdfast_broker_replicas_troubled", &[]), Some(3));
    assert_eq!(told(broker, "holdfast_broker_findings_total", &["unreadable"]), Some(3));
    for partition in ["0", "1", "2"] {
        let trouble = ["t", partition, "damaged", "goes_on"];
        assert_eq!(told(broker, "holdfast_broker_replica_trouble", &trouble), Some(1));
    }
    let client = Client::connect(broker).await;
    for partition in 0..3 {
        let end = produce_until(&client, "t", partition, &["a new one"]).await;
        assert_eq!(client.read("t", partition, end).await.unwrap(), ["a new one"]);
    }
    assert_eq!(broker.context().findings.kept().map(|kept| kept.count), Some(3));
    for broker in brokers {
        soon("it stops", broker.stop()).await;
    }
}

/// At a rate at which a pass takes longer than the broker runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scrub_goes_on_after_a_start_where_it_stood() {
    let rig = Rig::start().await;
    let slow = |config| Config { scrub_interval_ms: 100, scrub_bytes_per_second: 100_000, ..config };
    let broker = rig.broker_with(1, slow).await;
    rig.controller.create_topic("t", 3, 1, &[("segment.bytes", "65536"), ("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    for partition in 0..3 {
        for _ in 0..8 {
            produce_until(&client, "t", partition, &[&"a".repeat(30_000)]).await;
        }
    }
    let place = |broker: &Broker| broker.context().logs.data_dir.scrub_position();
    let is_second = |place: &ScrubPosition| place.partition.partition == PartitionIndex(1) && place.next > Offset(0);
    until("it is in the middle", async || place(&broker).filter(is_second)).await;
    soon("it stops", broker.stop()).await;
    let broker = rig.broker_with(1, slow).await;
    let kept = place(&broker).unwrap();
    let next = until("it goes on", async || place(&broker).filter(|place| *place != kept)).await;
    assert!((next.partition, next.next) > (kept.partition, kept.next), "from {kept:?} to {next:?}");
    soon("it stops", broker.stop()).await;
}
