//! Folders of partitions that the list of a data folder does not name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdfast_log::DataDir;
use holdfast_proto::ids::{BrokerId, TopicPartition};

use crate::{
    compared::Bed,
    rig::{Client, until},
};

/// Takes the partition off the list and leaves its folder, as a deletion does that could not rename it.
fn unlist(folder: &Path, partition: TopicPartition) {
    let data_folder = folder.ancestors().nth(2).expect("the data folder");
    let kept = data_folder.join("kept");
    fs::rename(folder, &kept).unwrap();
    let opened = (1..=2).find_map(|id| DataDir::open(data_folder, BrokerId(id), None).ok());
    opened.expect("it is the folder of one of both").delete_partition(partition).unwrap();
    fs::rename(&kept, folder).unwrap();
}

fn asides(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.to_string_lossy().contains(".damaged-"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_listed_is_not_believed_and_copied_again() {
    let mut bed = Bed::start(2).await;
    let leading = bed.state().leader.expect("it is led").0;
    let follower = 3 - leading;
    let own = bed.segment(leading).expect("the leader holds it");
    bed.harm_by(follower, unlist).await;
    until("it is set aside, and copied again", async || {
        let is_equal = bed.segment(follower).as_ref() == Some(&own);
        (bed.state().isr.len() == 2 && is_equal && asides(&bed.folder(follower)).len() == 1).then_some(())
    })
    .await;
    let client = Client::connect(bed.broker(leading)).await;
    assert_eq!(client.read("t", 0, 0).await.unwrap().len(), 8, "all that was acknowledged is there");
    bed.end().await;
}
