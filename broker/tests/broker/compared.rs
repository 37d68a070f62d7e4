//! Replicas that differ, though each of them is whole.
//!
//! Without the comparison the first test never ends: nothing else finds the batch, for its CRC and the digests beside its
//! segment fit. (Let `life/compare.rs` do nothing, and "the follower is copied again" is waited for in vain.)

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};

use holdfast_broker::config::Config;
use holdfast_log::{Disk, LogConfig, PartitionLog};
use holdfast_metadata::{Command, PartitionState, trust::DistrustReason};
use holdfast_proto::{
    batch::{self, BatchBuilder, BatchHeader, Compression, DecodeLimits, Error},
    ids::{BrokerId, Offset, PartitionIndex, TopicId, TopicPartition},
};

use crate::rig::{Client, Rig, produce_until, soon, until};

const SEGMENT_BYTES: u32 = 65_536;
const SEGMENT: &str = "00000000000000000000";

fn file(folder: &Path, ending: &str) -> PathBuf {
    folder.join(format!("{SEGMENT}.{ending}"))
}

/// The batch with another last byte, and the CRC of that.
fn changed(batch: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let Err(Error::CrcMismatch { computed, .. }) = batch::verify_crc(&bytes) else { panic!("it was changed") };
    bytes[17..21].copy_from_slice(&computed.to_be_bytes());
    bytes.freeze()
}

/// Makes the first segment of a replica, and the digests beside it, one in which the second batch is another: as the log of
/// a broker would have written them.
fn make_other(folder: &Path, partition: TopicPartition) {
    let whole = fs::read(file(folder, "log")).unwrap();
    let mut batches: Vec<Bytes> = batch::split(whole.clone().into()).map(Result::unwrap).collect();
    assert!(batches.len() > 1 && file(folder, "digest").exists(), "the segment is closed");
    batches[1] = changed(&batches[1]);
    let other = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..LogConfig::default() };
    let at = other.path().join("p");
    let (mut log, _) = PartitionLog::open(&Disk::new(), &at, partition, config).unwrap();
    for batch in &batches {
        log.append(std::slice::from_ref(batch)).unwrap();
    }
    // The next one closes the segment.
    let end = batches.last().map(|batch| BatchHeader::parse(batch).unwrap().next_offset()).unwrap();
    let mut next = BytesMut::from(&batches[0][..]);
    batch::set_base_offset_and_epoch(&mut next, end, BatchHeader::parse(&batches[0]).unwrap().leader_epoch);
    log.append(&[next.freeze()]).unwrap();
    log.close().unwrap();
    let made = fs::read(file(&at, "log")).unwrap();
    assert!(made.len() == whole.len() && made != whole);
    for ending in ["log", "digest"] {
        fs::copy(file(&at, ending), file(folder, ending)).unwrap();
    }
}

/// All batches of the closed and open segments of a replica, in order.
fn batches(folder: &Path) -> Vec<Bytes> {
    let mut logs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    logs.sort();
    logs.iter().flat_map(|log| batch::split(fs::read(log).unwrap().into()).map(Result::unwrap)).collect()
}

/// Makes the log of a replica one that holds the same records in batches of three.
fn regroup(folder: &Path, partition: TopicPartition) {
    let old = batches(folder);
    let leader_epoch = BatchHeader::parse(&old[0]).unwrap().leader_epoch;
    let decoded = |batch: &Bytes| batch::decode(batch.clone(), &DecodeLimits::default()).unwrap();
    let records: Vec<_> = old.iter().flat_map(decoded).collect();
    let other = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: SEGMENT_BYTES, ..LogConfig::default() };
    let at = other.path().join("p");
    let (mut log, _) = PartitionLog::open(&Disk::new(), &at, partition, config).unwrap();
    let mut next = Offset(0);
    for together in records.chunks(3) {
        let mut builder = BatchBuilder::new(Compression::None);
        for record in together {
            builder.append(&record.as_ref()).unwrap();
        }
        let mut batch = BytesMut::from(&builder.build(None).unwrap()[..]);
        batch::set_base_offset_and_epoch(&mut batch, next, leader_epoch);
        next = BatchHeader::parse(&batch).unwrap().next_offset();
        log.append(&[batch.freeze()]).unwrap();
    }
    log.close().unwrap();
    let of_segments = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&SEGMENT[..SEGMENT.len() - 2]))
    };
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| of_segments(&entry.path())) {
        fs::remove_file(entry.path()).unwrap();
    }
    for entry in fs::read_dir(&at).unwrap().map(Result::unwrap).filter(|entry| of_segments(&entry.path())) {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    assert_ne!(batches(folder), old);
}

/// Brokers that hold one partition.
pub(crate) struct Bed {
    rig: Rig,
    brokers: Vec<Option<holdfast_broker::life::start::Broker>>,
    topic_id: TopicId,
}

impl Bed {
    /// As many brokers that scrub often, and a partition with closed segments that all of them hold.
    pub(crate) async fn start(count: u32) -> Self {
        Self::start_with(count, "1").await
    }

    /// The same with this min.insync.replicas.
    pub(crate) async fn start_with(count: u32, min_isr: &str) -> Self {
        let rig = Rig::start().await;
        let mut brokers = Vec::new();
        for id in 1..=count {
            brokers.push(Some(rig.broker_with(id, scrubbing).await));
        }
        let size = SEGMENT_BYTES.to_string();
        let settings = [("segment.bytes", size.as_str()), ("min.insync.replicas", min_isr)];
        let topic_id = rig.controller.create_topic("t", 1, count, &settings);
        let bed = Self { rig, brokers, topic_id };
        let leading = until("it is led", async || bed.state().leader).await.0;
        let client = Client::connect(bed.broker(leading)).await;
        for n in 0..8 {
            produce_until(&client, "t", 0, &[&format!("{n}{}", "a".repeat(15_000))]).await;
        }
        bed.in_sync(count).await;
        bed
    }

    pub(crate) fn id(&self) -> TopicPartition {
        TopicPartition { topic_id: self.topic_id, partition: PartitionIndex(0) }
    }

    /// The partition as the controllers have it.
    pub(crate) fn state(&self) -> PartitionState {
        self.rig.controller.image().partition(self.id()).unwrap().clone()
    }

    pub(crate) fn broker(&self, id: u32) -> &holdfast_broker::life::start::Broker {
        self.brokers[id as usize - 1].as_ref().expect("it runs")
    }

    pub(crate) fn folder(&self, id: u32) -> PathBuf {
        self.rig.data_dir(id).join("partitions").join(format!("{}-0", self.topic_id))
    }

    pub(crate) fn segment(&self, id: u32) -> Option<Vec<u8>> {
        fs::read(file(&self.folder(id), "log")).ok()
    }

    /// Carries out a command of the controllers.
    pub(crate) fn run(&self, command: &Command) {
        self.rig.controller.run(command).unwrap();
    }

    /// Produces a record at a broker until it is acknowledged.
    pub(crate) async fn produce(&self, leader: BrokerId, value: &str) {
        let client = Client::connect(self.broker(leader.0)).await;
        produce_until(&client, "t", 0, &[value]).await;
    }

    pub(crate) async fn in_sync(&self, count: u32) {
        until("so many are in sync", async || (self.state().isr.len() >= count as usize).then_some(())).await;
    }

    /// Stops a broker, gives its replica other batches, and starts it again.
    async fn harm(&mut self, id: u32) {
        self.harm_by(id, make_other).await;
    }

    pub(crate) async fn harm_by(&mut self, id: u32, harm: fn(&Path, TopicPartition)) {
        let broker = self.brokers[id as usize - 1].take().expect("it runs");
        soon("it stops", broker.stop()).await;
        harm(&self.folder(id), self.id());
        self.brokers[id as usize - 1] = Some(self.rig.broker_with(id, scrubbing).await);
    }

    pub(crate) async fn end(self) {
        for broker in self.brokers.into_iter().flatten() {
            soon("it stops", broker.stop()).await;
        }
    }
}

fn scrubbing(config: Config) -> Config {
    Config { scrub_interval_ms: 100, ..config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_batches_are_whole_and_others_is_copied_again() {
    let mut bed = Bed::start(2).await;
    let leading = bed.state().leader.expect("it is led").0;
    let follower = 3 - leading;
    let own = bed.segment(leading).expect("the leader holds it");
    bed.harm(follower).await;
    assert_ne!(bed.segment(follower).as_ref(), Some(&own));
    until("the follower is copied again", async || {
        let state = bed.state();
        assert!(state.distrusted.iter().all(|distrusted| distrusted.reason == DistrustReason::Damaged));
        (state.isr.len() == 2 && bed.segment(follower).as_ref() == Some(&own)).then_some(())
    })
    .await;
    assert_eq!(bed.segment(leading), Some(own), "the leader's are as they were");
    let leading = bed.state().leader.expect("it is led").0;
    let client = Client::connect(bed.broker(leading)).await;
    assert_eq!(client.read("t", 0, 0).await.unwrap().len(), 8, "all that was acknowledged is there");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_differs_from_two_followers_that_agree_is_the_one_that_is_copied_again() {
    let mut bed = Bed::start(3).await;
    let own = bed.segment(1).expect("all hold it");
    let harmed = bed.state().leader.expect("it is led").0;
    // As a follower it would be found before it leads: so the others are down until then.
    let others: Vec<u32> = (1..=3).filter(|id| *id != harmed).collect();
    for id in &others {
        let broker = bed.brokers[*id as usize - 1].take().expect("it runs");
        soon("it stops", broker.stop()).await;
    }
    bed.harm(harmed).await;
    until("it leads", async || (bed.state().leader.map(|leader| leader.0) == Some(harmed)).then_some(())).await;
    // One after the other: two that differ do not tell which is right.
    for (id, in_sync) in others.iter().zip(2..) {
        bed.brokers[*id as usize - 1] = Some(bed.rig.broker_with(*id, scrubbing).await);
        bed.in_sync(in_sync).await;
    }
    until("the leader is copied again", async || {
        let equal = (1..=3).all(|id| bed.segment(id).as_ref() == Some(&own));
        (bed.state().isr.len() == 3 && equal).then_some(())
    })
    .await;
    bed.end().await;
}

/// Its leader leads all the time: what it was told once must not keep the second fault in place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_differs_again_later_is_copied_again_each_time() {
    let mut bed = Bed::start(2).await;
    let before = bed.state();
    let leading = before.leader.expect("it is led").0;
    let follower = 3 - leading;
    let own = bed.segment(leading).expect("the leader holds it");
    for _ in 0..2 {
        bed.harm(follower).await;
        assert_ne!(bed.segment(follower).as_ref(), Some(&own));
        until("the follower is copied again", async || {
            (bed.state().isr.len() == 2 && bed.segment(follower).as_ref() == Some(&own)).then_some(())
        })
        .await;
    }
    assert_eq!(bed.state().leader_epoch, before.leader_epoch, "it was one leadership");
    bed.end().await;
}

/// The last closed segment of the leader ends inside a batch of both others: by that range nobody can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_followers_that_agree_on_batches_with_other_borders_outvote_their_leader() {
    let mut bed = Bed::start(3).await;
    let leading = bed.state().leader.expect("it is led").0;
    for id in (1..=3).filter(|id| *id != leading) {
        bed.harm_by(id, regroup).await;
    }
    let regrouped = bed.segment(if leading == 1 { 2 } else { 1 }).expect("it was made");
    until("the leader is copied again", async || {
        let state = bed.state();
        let distrusted = state.distrusted.iter().all(|distrusted| distrusted.broker_id.0 == leading);
        assert!(distrusted, "those that agree stay: {state:?}");
        (state.isr.len() == 3 && (1..=3).all(|id| bed.segment(id).as_ref() == Some(&regrouped))).then_some(())
    })
    .await;
    bed.end().await;
}
