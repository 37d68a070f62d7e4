//! A data folder that is copied file by file. In a program of its own: while a process is started it holds the locks that
//! other tests take.

use std::{fs, process::Command};

use holdfast_log::{DataDir, LogConfig};
use holdfast_proto::ids::{BrokerId, MetadataIndex, PartitionIndex, TopicId, TopicPartition};

#[test]
fn a_folder_that_was_copied_file_by_file_says_so_until_it_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (original, copy, moved) = (folder.path().join("data"), folder.path().join("copy"), folder.path().join("moved"));
    let open = |path| DataDir::open(path, BrokerId(1), None).unwrap();
    let partition = TopicPartition { topic_id: TopicId(uuid::Uuid::from_u128(1)), partition: PartitionIndex(0) };
    open(&original).open_partition(partition, LogConfig::default()).unwrap();
    assert!(
        fs::metadata(original.join("holdfast.lock")).unwrap().created().is_ok(),
        "run it where files have a birth time"
    );
    assert!(Command::new("cp").arg("-a").arg(&original).arg(&copy).status().unwrap().success());

    assert!(!open(&original).was_copied());
    assert!(open(&copy).was_copied());
    let dir = open(&copy);
    assert!(dir.was_copied(), "a restart does not hide it");
    let token = dir.next_token().unwrap();
    drop(dir);
    let dir = open(&copy);
    assert!(dir.was_copied(), "nor does a token that was not confirmed");
    dir.confirm_token(token, MetadataIndex(1), false).unwrap();
    drop(dir);
    let dir = open(&copy);
    assert!(dir.was_copied(), "nor does one whose start was not heard");
    dir.confirm_token(dir.next_token().unwrap(), MetadataIndex(1), true).unwrap();
    drop(dir);
    assert!(!open(&copy).was_copied());
    fs::rename(&copy, &moved).unwrap();
    assert!(!open(&moved).was_copied(), "a move is no copy");
}
