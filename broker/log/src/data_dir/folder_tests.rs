use std::fs;

use uuid::Uuid;

use holdfast_proto::ids::MetadataIndex;

use super::*;
use crate::{
    Cause, Distrust, LogConfig, Standing,
    data_dir::{
        list_file::LIST,
        partitions::tests::{open, tp},
    },
    disk::tests::Fault,
    test_support::tempdir,
};

fn cluster(id: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(id))
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

/// What a program before this one makes of the folder: it knows of neither tokens nor a list.
fn as_an_earlier_program(folder: &Path) {
    let path = folder.join(BROKER.file);
    let text = fs::read_to_string(&path).unwrap();
    let fields = BROKER.decode(&text).unwrap();
    let known = ["broker_id", "directory_id", "boot_counter"].map(|key| (key, fields.get::<String>(key).unwrap()));
    fs::write(&path, BROKER.encode(&known)).unwrap();
}

#[test]
fn a_folder_from_before_gets_its_list_and_its_anchor_silently_once() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    let id = dir.directory_id();
    assert_eq!((dir.list_state(), dir.was_copied()), (&ListState::Kept, false));
    for partition in [tp(1, 0), tp(1, 1), tp(1, 2)] {
        dir.open_partition(partition, LogConfig::default()).unwrap();
    }
    dir.distrust(tp(1, 1), Distrust::new(Cause::Damaged, "a doubt")).unwrap();
    drop(dir);
    as_an_earlier_program(folder.path());
    fs::remove_dir_all(folder.path().join(PARTITIONS).join(tp(1, 0).to_string())).unwrap(); // it deleted one
    let dir = open(&folder);
    assert_eq!((dir.list_state(), dir.was_copied(), dir.directory_id()), (&ListState::Rebuilt, false, id));
    let found: Vec<_> = dir.replicas().iter().map(|replica| replica.partition).collect();
    assert_eq!(found, [tp(1, 1), tp(1, 2)], "what an earlier program deleted has not vanished");
    assert!(matches!(dir.replicas()[0].standing, Standing::Distrusted(_)), "it knew of no distrust");
    drop(dir);
    fs::remove_file(folder.path().join(LIST)).unwrap();
    as_an_earlier_program(folder.path());
    drop(open(&folder));
    let dir = open(&folder);
    assert_eq!(dir.list_state(), &ListState::Kept);
    assert_eq!(dir.replicas().len(), 2);
}

#[test]
fn a_list_that_is_damaged_or_missing_is_lost_and_the_starts_say_so_until_one_was_heard() {
    for damaged in [None, Some(b"".as_slice()), Some(b"HFRL"), Some(&[0; 200])] {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
        dir.open_partition(tp(1, 1), LogConfig::default()).unwrap();
        drop(dir);
        let list = folder.path().join(LIST);
        damaged.map_or_else(|| fs::remove_file(&list), |bytes| fs::write(&list, bytes)).unwrap();
        for _ in 0..2 {
            let dir = open(&folder);
            assert!(matches!(dir.list_state(), ListState::Lost { .. }), "{damaged:?}: {:?}", dir.list_state());
            assert_eq!(dir.replicas().len(), 2);
            dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
        }
        let dir = open(&folder);
        dir.confirm_token(dir.next_token().unwrap(), MetadataIndex(1), false).unwrap();
        drop(dir);
        let dir = open(&folder);
        assert!(matches!(dir.list_state(), ListState::Lost { .. }), "nobody took what the start found: {damaged:?}");
        dir.confirm_token(dir.next_token().unwrap(), MetadataIndex(1), true).unwrap();
        drop(dir);
        assert_eq!(open(&folder).list_state(), &ListState::Kept, "{damaged:?}");
    }
}

#[test]
fn a_list_of_an_earlier_start_is_lost() {
    let folder = tempdir().unwrap();
    drop(open(&folder));
    let list = folder.path().join(LIST);
    let earlier = fs::read(&list).unwrap();
    let dir = open(&folder);
    dir.distrust(tp(1, 1), Distrust::new(Cause::Damaged, "noted since")).unwrap();
    drop(dir);
    fs::write(&list, earlier).unwrap();
    assert!(matches!(open(&folder).list_state(), ListState::Lost { .. }));
}

#[test]
fn a_crash_at_any_step_of_a_start_leaves_the_next_one_as_much_to_tell() {
    let harms: [fn(&Path); 3] = [
        |_| {},
        |folder| fs::remove_file(folder.join(LIST)).unwrap(),
        |folder| {
            let anchor = folder.join(BROKER.lock);
            let copy = folder.join("copy");
            fs::copy(&anchor, &copy).unwrap();
            fs::rename(copy, anchor).unwrap();
        },
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let mut failed_at = 0;
        loop {
            let folder = tempdir().unwrap();
            let dir = open(&folder);
            let token = dir.next_token().unwrap();
            dir.confirm_token(token, MetadataIndex(1), true).unwrap();
            dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
            dir.distrust(tp(1, 1), Distrust::new(Cause::Damaged, "a doubt")).unwrap();
            drop(dir);
            harm(folder.path());
            let disk = Disk::new();
            disk.inject(Fault::After(failed_at));
            let is_done = DataDir::open_on(disk, folder.path(), BrokerId(1), None).is_ok();
            let dir = open(&folder);
            let context = format!("harm {number}, step {failed_at}");
            assert_eq!(matches!(dir.list_state(), ListState::Lost { .. }), number == 1, "{context}");
            assert_eq!(dir.was_copied(), number == 2, "{context}");
            assert_eq!(dir.replicas().len(), if number == 1 { 1 } else { 2 }, "{context}");
            assert_eq!(dir.tokens().known, [token], "{context}");
            if is_done {
                break;
            }
            failed_at += 1;
        }
        assert!(failed_at > 8, "a start has {failed_at} steps");
    }
}
