//! A replica that has lost its beginning, and with it what says where its log began.

use std::{collections::BTreeMap, fs, path::Path};

use holdfast_log::{Disk, LogConfig, PartitionLog};
use holdfast_metadata::{AlterTopic, Command};
use holdfast_proto::ids::{Offset, TopicPartition};

use crate::{
    compared::Bed,
    rig::{Client, until},
};

/// Removes the first segment with all that belongs to it, and the mark: as a damaged block of the folder does.
fn lose_beginning(folder: &Path, _: TopicPartition) {
    fs::remove_file(folder.join("durable-mark")).unwrap();
    for ending in ["log", "index", "timeindex", "digest"] {
        fs::remove_file(folder.join(format!("{:020}.{ending}", 0))).unwrap();
    }
}

/// It would be taken into the ISR for its end, lead as the preferred replica, and all others would delete what it lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_its_beginning_is_copied_again_before_it_leads() {
    let mut bed = Bed::start(3).await;
    let preferred = bed.state().replicas[0];
    let own = bed.segment(preferred.0).expect("it holds it");
    bed.harm_by(preferred.0, lose_beginning).await;
    until("the preferred replica leads", async || {
        bed.run(&Command::ElectLeaders { partitions: Vec::new() });
        let state = bed.state();
        (state.isr.len() == 3 && state.leader == Some(preferred)).then_some(())
    })
    .await;
    let client = Client::connect(bed.broker(preferred.0)).await;
    // The followers have heard it once it acknowledges.
    bed.produce(preferred, "later").await;
    assert_eq!(client.read("t", 0, 0).await.unwrap().len(), 9, "all that was acknowledged is there");
    for id in 1..=3 {
        assert_eq!(bed.segment(id).as_ref(), Some(&own), "broker {id}");
    }
    bed.end().await;
}

/// Lets the log of a replica begin with its second segment, as retention would.
fn begin_later(folder: &Path, partition: TopicPartition) {
    let (mut log, _) = PartitionLog::open(&Disk::new(), folder, partition, LogConfig::default()).unwrap();
    log.advance_log_start(Offset(4)).unwrap();
    log.close().unwrap();
}

/// Nothing that it holds is wrong, and no digest tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_begins_later_than_its_leader_is_copied_again_once_it_can_be_done_without() {
    let mut bed = Bed::start_with(3, "3").await;
    let leading = bed.state().leader.expect("it is led").0;
    let late = 1 + leading % 3;
    let own = bed.segment(leading).expect("the leader holds it");
    bed.harm_by(late, begin_later).await;
    bed.in_sync(3).await;
    assert!(bed.segment(late).is_none() && bed.state().distrusted.is_empty(), "nothing is acknowledged without it");
    let configs = BTreeMap::from([("min.insync.replicas".to_owned(), Some("2".to_owned()))]);
    bed.run(&Command::AlterTopic(AlterTopic { topic_id: bed.id().topic_id, configs, partition_count: None }));
    until("it is copied again", async || {
        (bed.segment(late).as_ref() == Some(&own) && bed.state().isr.len() == 3).then_some(())
    })
    .await;
    for id in 1..=3 {
        assert_eq!(bed.segment(id).as_ref(), Some(&own), "broker {id}");
    }
    bed.end().await;
}
