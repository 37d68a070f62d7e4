//! Damage that no reader has met.

use std::{os::unix::fs::FileExt, path::PathBuf};

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::{
    batch::BatchHeader,
    ids::{BrokerId, PartitionIndex, TopicId, TopicPartition},
};

use crate::rig::{Client, Rig, produce_until, soon, until};

const SEGMENT: &str = "00000000000000000000.log";

fn segment(rig: &Rig, broker: BrokerId, topic_id: TopicId, partition: u32) -> PathBuf {
    rig.data_dir(broker.0).join("partitions").join(format!("{topic_id}-{partition}")).join(SEGMENT)
}

/// A closed segment of the leader gets the batch of another partition: as long, at the same offset, with a right CRC. No one
/// reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_a_misplaced_batch_resigns_and_is_copied_again() {
    let rig = Rig::start().await;
    let mut brokers = Vec::new();
    for id in 1..=2 {
        let change = |config| holdfast_broker::config::Config { scrub_interval_ms: 100, ..config };
        brokers.push(rig.broker_with(id, change).await);
    }
    let small = [("segment.bytes", "65536"), ("min.insync.replicas", "1")];
    let topic_id = rig.controller.create_topic("t", 2, 2, &small);
    let state = |partition| {
        let image = rig.controller.image();
        image.partition(TopicPartition { topic_id, partition: PartitionIndex(partition) }).unwrap().clone()
    };
    for (partition, letter) in [(0, "a"), (1, "b")] {
        let leading = until("it is led", async || state(partition).leader).await;
        let client = Client::connect(&brokers[leading.0 as usize - 1]).await;
        for _ in 0..5 {
            produce_until(&client, "t", partition, &[&letter.repeat(30_000)]).await;
        }
        until("both are in sync", async || (state(partition).isr.len() == 2).then_some(())).await;
    }
    let leading = state(0).leader.unwrap();
    let path = segment(&rig, leading, topic_id, 0);
    let (own, other) = (std::fs::read(&path).unwrap(), std::fs::read(segment(&rig, leading, topic_id, 1)).unwrap());
    let size = BatchHeader::parse(&own).unwrap().size_bytes;
    assert_eq!(BatchHeader::parse(&other).unwrap().size_bytes, size);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&other[..size], 0).unwrap();

    let new = until("another leads", async || state(0).leader.filter(|leader| *leader != leading)).await;
    until("it is copied again", async || {
        let state = state(0);
        let is_known = state.distrusted.iter().all(|distrusted| distrusted.reason == DistrustReason::Damaged);
        assert!(is_known, "{:?}", state.distrusted);
        (state.isr.len() == 2 && std::fs::read(&path).is_ok_and(|bytes| bytes == own)).then_some(())
    })
    .await;
    let client = Client::connect(&brokers[new.0 as usize - 1]).await;
    let read = client.read("t", 0, 0).await.unwrap();
    assert!(read.iter().all(|value| value.starts_with('a')), "nothing of the other partition was copied or served");
    for broker in brokers {
        soon("it stops", broker.stop()).await;
    }
}
