use tempfile::TempDir;
use uuid::Uuid;

use holdfast_proto::ids::Offset;

use super::*;
use crate::test_support::{fill, tempdir};

fn cluster(id: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(id))
}

fn tp(topic: u128, partition: u32) -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(partition) }
}

fn open(folder: &TempDir) -> DataDir {
    DataDir::open(folder.path(), BrokerId(1), None).unwrap()
}

#[test]
fn an_identity_stays_and_each_start_is_counted() {
    let folder = tempdir().unwrap();
    let first = open(&folder);
    let id = first.directory_id();
    assert_eq!((first.boot_counter(), first.cluster_id()), (1, None));
    first.set_cluster_id(cluster(7)).unwrap();
    drop(first);
    let second = open(&folder);
    assert_eq!((second.boot_counter(), second.directory_id()), (2, id));
    assert_eq!((second.cluster_id(), second.broker_id()), (Some(cluster(7)), BrokerId(1)));
    assert_ne!(open(&tempdir().unwrap()).directory_id(), id);
    let space = second.space().unwrap();
    assert!(0 < space.free && space.free <= space.total);
}

#[test]
fn a_folder_of_another_is_refused_with_both_names() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    dir.set_cluster_id(cluster(7)).unwrap();
    let error = dir.set_cluster_id(cluster(8)).unwrap_err();
    assert!(
        matches!(error, Error::OtherCluster { found, expected, .. } if found == cluster(7) && expected == cluster(8))
    );
    let error = DataDir::open(folder.path(), BrokerId(1), None).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(dir);
    let error = DataDir::open(folder.path(), BrokerId(2), None).unwrap_err().to_string();
    assert!(error.contains("broker 1") && error.contains("broker 2"), "{error}");
    let error = DataDir::open(folder.path(), BrokerId(1), Some(cluster(9))).unwrap_err().to_string();
    assert!(error.contains(&cluster(7).to_string()) && error.contains(&cluster(9).to_string()), "{error}");
    assert_eq!(open(&folder).boot_counter(), 2, "refused starts do not count");
}

#[test]
fn a_folder_without_its_identity_is_not_formatted_again() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
    drop(dir);
    let path = folder.path().join(BROKER.file);
    let text = fs::read_to_string(&path).unwrap();
    let check = || match DataDir::open(folder.path(), BrokerId(1), None).unwrap_err() {
        Error::BadFolder { reason, .. } => reason,
        error => panic!("{error}"),
    };
    for damaged in [text.replace("broker_id: 1", "broker_id: 2"), text[..text.len() - 1].to_owned(), String::new()] {
        fs::write(&path, damaged).unwrap();
        assert!(check().contains("damaged"));
    }
    fs::remove_file(&path).unwrap();
    assert!(check().contains("missing"));
    fs::write(&path, text).unwrap();
    assert_eq!(open(&folder).partitions().unwrap(), [tp(1, 0)]);
}

#[test]
fn partitions_are_listed_deleted_and_set_aside() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    for partition in [tp(2, 0), tp(1, 11), tp(1, 2)] {
        let (mut log, _) = dir.open_partition(partition, LogConfig::default()).unwrap();
        fill(&mut log, 3);
    }
    fs::create_dir(folder.path().join("partitions/lost+found")).unwrap();
    assert_eq!(dir.partitions().unwrap(), [tp(1, 2), tp(1, 11), tp(2, 0)]);
    assert!(dir.delete_partition(tp(1, 11)).unwrap());
    assert!(!dir.delete_partition(tp(1, 11)).unwrap());
    let aside = dir.quarantine_partition(tp(2, 0)).unwrap();
    assert!(aside.join("00000000000000000000.log").exists());
    let (_, recovered) = dir.open_partition(tp(2, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0));
    assert_ne!(dir.quarantine_partition(tp(2, 0)).unwrap(), aside);
    assert_eq!(dir.partitions().unwrap(), [tp(1, 2)]);
    // As a crash in the middle of a deletion, and of a creation, would leave it.
    let (deleted, unfinished) = (format!("partitions/{}.deleted", tp(3, 0)), format!("partitions/{}.tmp", tp(3, 1)));
    fs::create_dir(folder.path().join(&deleted)).unwrap();
    fs::create_dir(folder.path().join(&unfinished)).unwrap();
    drop(dir);
    let dir = open(&folder);
    assert!(!folder.path().join(deleted).exists() && !folder.path().join(unfinished).exists());
    assert!(aside.exists() && folder.path().join("partitions/lost+found").exists());
    let (_, recovered) = dir.open_partition(tp(1, 2), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(3));
}

#[test]
fn a_log_of_another_topic_is_refused() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
    drop(dir);
    let partitions = folder.path().join(PARTITIONS);
    fs::rename(partitions.join(tp(1, 0).to_string()), partitions.join(tp(2, 0).to_string())).unwrap();
    let error = open(&folder).open_partition(tp(2, 0), LogConfig::default()).unwrap_err();
    assert!(matches!(error, Error::OtherTopic { found, .. } if found == tp(1, 0).topic_id), "{error}");
}
