//! The last replica of a partition, which a start finds damaged.

use std::{fs, os::unix::fs::symlink, path::Path};

use holdfast_metadata::{Command, RecoverPartition};
use holdfast_proto::{
    batch::BatchHeader,
    ids::{BrokerId, Offset, PartitionIndex},
};

use crate::rig::{Client, Rig, produce_until, soon, until};

const SEGMENT: &str = "00000000000000000000.log";

/// Flips a bit of the batch with this number, and lets the next start read the segment through. What the file holds then.
fn damage(folder: &Path, number: usize) -> Vec<u8> {
    let path = folder.join(SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    let size = |at: usize| BatchHeader::parse(&bytes[at..]).unwrap().size_bytes;
    let end = (0..=number).fold(0, |at, _| at + size(at));
    bytes[end - 1] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::remove_file(path.with_extension("index")).unwrap();
    bytes
}

/// An operator lets partition 0 of a topic go on with broker 1.
async fn recover(rig: &Rig, topic: &str) {
    until("it is alive, and goes on", async || {
        let (partition, broker_id, image) = (PartitionIndex(0), BrokerId(1), rig.controller.image());
        let topic = image.topic_by_name(topic).unwrap();
        let (topic_id, partition_epoch) = (topic.topic_id(), topic.partition(partition).unwrap().partition_epoch);
        let recover = RecoverPartition { topic_id, partition, broker_id, partition_epoch, at_ms: 0 };
        rig.controller.run(&Command::RecoverPartition(recover)).is_ok().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_read_of_the_last_replica_stays_and_goes_on_where_an_operator_says_so() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let topic_id = rig.controller.create_topic("a", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    for value in ["0", "1", "2", "3", "4"] {
        produce_until(&client, "a", 0, &[value]).await;
    }
    soon("it stops", broker.stop()).await;
    let folder = rig.data_dir(1).join("partitions").join(format!("{topic_id}-0"));
    let damaged = damage(&folder, 3);
    // Each start finds the same, and leaves it as it is.
    for _ in 0..2 {
        soon("it stops", rig.broker(1).await.stop()).await;
    }
    let broker = rig.broker(1).await;
    let state = || rig.controller.image().topic_by_name("a").unwrap().partition(PartitionIndex(0)).unwrap().clone();
    let waits = until("it is not believed", async || Some(state()).filter(|state| state.distrusted.len() == 1)).await;
    assert_eq!(waits.leader, None, "{waits:?}");
    let claim = &waits.claims[0];
    assert!(claim.end == Offset(3) && claim.leader_epoch.is_some(), "up to the damage: {waits:?}");
    let data_dir = &broker.context().logs.data_dir;
    assert!(data_dir.asides().unwrap().is_empty() && fs::read(folder.join(SEGMENT)).unwrap() == damaged);

    recover(&rig, "a").await;
    let client = Client::connect(&broker).await;
    let offset = produce_until(&client, "a", 0, &["later"]).await;
    assert_eq!((offset, client.read("a", 0, 0).await.unwrap().join(" ").as_str()), (3, "0 1 2 later"));
    let asides = data_dir.asides().unwrap();
    assert_eq!(asides.len(), 1, "all that was there is kept");
    assert_eq!(fs::read(asides[0].path.join(SEGMENT)).unwrap(), damaged);
    soon("it stops", broker.stop()).await;
}

/// The start that misses it says so; somebody puts it back while the broker runs, or before another start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_gone_and_is_put_back_is_what_an_operator_may_go_on_with() {
    for is_put_back_while_it_runs in [true, false] {
        let rig = Rig::start().await;
        let mut broker = rig.broker(1).await;
        let topic_id = rig.controller.create_topic("a", 1, 1, &[("min.insync.replicas", "1")]);
        let client = Client::connect(&broker).await;
        for value in ["0", "1", "2"] {
            produce_until(&client, "a", 0, &[value]).await;
        }
        soon("it stops", broker.stop()).await;
        let folder = rig.data_dir(1).join("partitions").join(format!("{topic_id}-0"));
        let away = rig.data_dir(1).join("away");
        fs::rename(&folder, &away).unwrap();
        broker = rig.broker(1).await;
        let state = || rig.controller.image().topic_by_name("a").unwrap().partition(PartitionIndex(0)).unwrap().clone();
        until("it is not believed", async || (state().distrusted.len() == 1).then_some(())).await;
        assert!(state().claims.is_empty(), "it holds nothing");
        if is_put_back_while_it_runs {
            fs::rename(&away, &folder).unwrap();
        } else {
            soon("it stops", broker.stop()).await;
            fs::rename(&away, &folder).unwrap();
            broker = rig.broker(1).await;
            let claimed = async || state().claims.first().map(|claim| claim.end);
            assert_eq!(until("it says what is there", claimed).await, Offset(3));
        }
        recover(&rig, "a").await;
        let client = Client::connect(&broker).await;
        let offset = produce_until(&client, "a", 0, &["later"]).await;
        assert_eq!((offset, client.read("a", 0, 0).await.unwrap().join(" ").as_str()), (3, "0 1 2 later"));
        soon("it stops", broker.stop()).await;
    }
}

/// The disk lets the last replica open no more, however often it is asked; it reads the batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_reads_of_the_last_replica_goes_on_where_an_operator_says_so() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let topic_id = rig.controller.create_topic("a", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    for value in ["0", "1", "2"] {
        produce_until(&client, "a", 0, &[value]).await;
    }
    soon("it stops", broker.stop()).await;
    let folder = rig.data_dir(1).join("partitions").join(format!("{topic_id}-0"));
    let file = folder.join("partition.metadata");
    fs::remove_file(&file).unwrap();
    symlink("/proc/self/mem", &file).unwrap();
    assert_eq!(fs::read(&file).unwrap_err().raw_os_error(), Some(5), "as of a disk that fails");
    let broker = rig.broker(1).await;
    recover(&rig, "a").await;
    let client = Client::connect(&broker).await;
    let offset = produce_until(&client, "a", 0, &["later"]).await;
    assert_eq!((offset, client.read("a", 0, 0).await.unwrap().join(" ").as_str()), (3, "0 1 2 later"));
    assert_eq!(broker.context().logs.data_dir.asides().unwrap().len(), 1, "what was there is kept");
    soon("it stops", broker.stop()).await;
}
