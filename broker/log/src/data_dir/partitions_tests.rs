use std::{cell::Cell, fs};

use tempfile::TempDir;
use uuid::Uuid;

use holdfast_proto::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::*;
use crate::{
    Aside, ReplicaOnDisk, Standing,
    data_dir::names::names,
    disk::tests::Fault,
    files,
    test_support::{fill, tempdir},
};

pub(in crate::data_dir) fn tp(topic: u128, partition: u32) -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(topic)), partition: PartitionIndex(partition) }
}

pub(in crate::data_dir) fn open(folder: &TempDir) -> DataDir {
    DataDir::open(folder.path(), BrokerId(1), None).unwrap()
}

/// Opens a partition and appends so many records.
pub(in crate::data_dir) fn hold(dir: &DataDir, partition: TopicPartition, records: u64) {
    let (mut log, _) = dir.open_partition(partition, LogConfig::default()).unwrap();
    fill(&mut log, records);
}

pub(in crate::data_dir) fn standing(dir: &DataDir, partition: TopicPartition) -> Option<Standing> {
    let found = dir.replicas().iter().find(|replica| replica.partition == partition);
    found.map(|ReplicaOnDisk { standing, .. }| standing.clone())
}

pub(in crate::data_dir) fn end(dir: &DataDir, partition: TopicPartition) -> Offset {
    dir.open_partition(partition, LogConfig::default()).unwrap().1.log_end_offset
}

/// Has a log set aside, and another made in its place. Where the old one stands now.
pub(in crate::data_dir) fn make_again(dir: &DataDir, partition: TopicPartition) -> PathBuf {
    let before = dir.asides().unwrap();
    dir.distrust(partition, Distrust::new(Cause::Damaged, "damaged")).unwrap();
    dir.recreate_partition(partition, LogConfig::default()).unwrap();
    let is_new = |aside: &Aside| before.iter().all(|one| one.path != aside.path);
    dir.asides().unwrap().into_iter().find(is_new).unwrap().path
}

fn lose(folder: &TempDir, partition: TopicPartition) {
    fs::remove_dir_all(folder.path().join(PARTITIONS).join(partition.to_string())).unwrap();
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
    let aside = make_again(&dir, tp(2, 0));
    assert!(aside.join("00000000000000000000.log").exists());
    let (mut log, recovered) = dir.open_partition(tp(2, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0));
    fill(&mut log, 1);
    drop(log);
    assert_ne!(make_again(&dir, tp(2, 0)), aside);
    assert_eq!(dir.partitions().unwrap(), [tp(1, 2), tp(2, 0)]);
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

/// A file is no folder that could be removed: as one that somebody made immutable, or a broken file system.
#[test]
fn what_cannot_be_removed_keeps_nothing_else_from_its_work() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    hold(&dir, tp(1, 1), 3);
    let partitions = folder.path().join(PARTITIONS);
    for name in [format!("{}.deleted", tp(3, 0)), format!("{}.tmp", tp(3, 1)), format!("{}.deleted", tp(1, 1))] {
        fs::write(partitions.join(name), "not a folder").unwrap();
    }
    drop(dir);
    let dir = open(&folder);
    let unmade = dir.open_partition(tp(3, 1), LogConfig::default());
    assert!(matches!(unmade, Err(Error::Io { .. })), "{unmade:?}");
    assert!(dir.delete_partition(tp(1, 1)).is_err());
    let aside = make_again(&dir, tp(1, 0));
    fs::remove_dir_all(&aside).unwrap();
    fs::write(&aside, "not a folder").unwrap();
    assert!(dir.remove_aside(&dir.asides().unwrap()[0]).is_err());
    hold(&dir, tp(1, 0), 2);
    assert!(dir.disk().failure().is_none());
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

#[test]
fn a_vanished_folder_is_told_and_not_opened_as_new() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    hold(&dir, tp(1, 1), 3);
    drop(dir);
    lose(&folder, tp(1, 0));
    for _ in 0..2 {
        let dir = open(&folder);
        assert_eq!(standing(&dir, tp(1, 0)), Some(Standing::Vanished));
        assert_eq!(standing(&dir, tp(1, 1)), Some(Standing::Held));
        for opened in
            [dir.open_partition(tp(1, 0), LogConfig::default()), dir.add_partition(tp(1, 0), LogConfig::default())]
        {
            assert!(matches!(opened, Err(Error::Vanished { .. })));
        }
    }
    let dir = open(&folder);
    let (_, recovered) = dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0));
    drop(dir);
    assert_eq!(standing(&open(&folder), tp(1, 0)), Some(Standing::Held));
}

#[test]
fn a_folder_that_vanishes_while_the_broker_runs_is_not_made_again() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    lose(&folder, tp(1, 0));
    assert!(matches!(dir.open_partition(tp(1, 0), LogConfig::default()), Err(Error::Vanished { .. })));
    assert!(!dir.delete_partition(tp(1, 0)).unwrap());
    assert_eq!(end(&dir, tp(1, 0)), Offset(0), "its deletion was committed: it may come again");
}

#[test]
fn a_folder_that_is_not_listed_is_told_as_adopted_until_it_is_opened() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    drop(dir);
    let other = tempdir().unwrap();
    drop(open(&other));
    let partitions = |folder: &TempDir| folder.path().join(PARTITIONS).join(tp(1, 0).to_string());
    fs::rename(partitions(&folder), partitions(&other)).unwrap();
    assert_eq!(standing(&open(&other), tp(1, 0)), Some(Standing::Adopted));
    let dir = open(&other);
    assert_eq!(standing(&dir, tp(1, 0)), Some(Standing::Adopted));
    assert_eq!(end(&dir, tp(1, 0)), Offset(3));
    drop(dir);
    assert_eq!(standing(&open(&other), tp(1, 0)), Some(Standing::Held));
}

#[test]
fn a_distrusted_log_is_not_opened_before_it_is_made_again() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    hold(&dir, tp(1, 1), 3);
    assert!(matches!(dir.recreate_partition(tp(1, 0), LogConfig::default()), Err(Error::BadFolder { .. })));
    let damaged = Distrust {
        last_epoch: Some(LeaderEpoch(4)),
        end: Some(Offset(3)),
        ..Distrust::new(Cause::Damaged, "damaged: \u{e4}")
    };
    dir.distrust(tp(1, 0), damaged.clone()).unwrap();
    dir.distrust(tp(1, 1), Distrust::new(Cause::Halted, "halted")).unwrap();
    assert_eq!(dir.distrusted(tp(1, 0)), Some(damaged.clone()));
    drop(dir);
    let dir = open(&folder);
    assert_eq!(dir.distrusted(tp(1, 1)), Some(Distrust::new(Cause::Halted, "halted")));
    assert_eq!(standing(&dir, tp(1, 0)), Some(Standing::Distrusted(damaged)));
    for partition in [tp(1, 0), tp(1, 1)] {
        let error = dir.open_partition(partition, LogConfig::default()).unwrap_err();
        assert!(matches!(error, Error::Distrusted { .. }), "{error}");
    }
    drop(dir.recreate_partition(tp(1, 1), LogConfig::default()).unwrap());
    assert_eq!((dir.distrusted(tp(1, 1)), end(&dir, tp(1, 1))), (None, Offset(0)));
    let (_, recovered) = dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0));
    let aside = &dir.asides().unwrap()[0];
    assert!(fs::metadata(files::file(&aside.path, Offset(0), files::LOG)).unwrap().len() > 0);
    drop(dir);
    assert!(open(&folder).replicas().iter().all(|replica| replica.standing == Standing::Held));
}

#[test]
fn what_has_no_records_takes_no_place_aside() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 0);
    dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "made again when the power failed")).unwrap();
    dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert_eq!(names(&folder.path().join(PARTITIONS)).unwrap(), [tp(1, 0).to_string()]);
}

/// Does `change` on a folder with the partition 0 of 3 records, failing at each disk operation in turn, and opens the folder
/// again. Gives what was found to `check`, with true if the change was done.
pub(in crate::data_dir) fn crash_everywhere(
    prepare: impl Fn(&DataDir),
    change: impl Fn(&DataDir) -> Result<(), Error>,
    check: impl Fn(bool, &DataDir),
) {
    for failed_at in 0.. {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        hold(&dir, tp(1, 0), 3);
        prepare(&dir);
        dir.disk.inject(Fault::After(failed_at));
        let is_done = change(&dir).is_ok();
        drop(dir);
        check(is_done, &open(&folder));
        if is_done {
            assert!(failed_at > 1, "the change has {failed_at} steps");
            return;
        }
    }
}

#[test]
fn a_crash_at_any_step_of_a_creation_leaves_no_vanished_folder() {
    crash_everywhere(
        |_| {},
        |dir| dir.open_partition(tp(1, 1), LogConfig::default()).map(drop),
        |is_done, dir| {
            let found = standing(dir, tp(1, 1));
            assert!(found == Some(Standing::Held) || !is_done && found.is_none_or(|found| found == Standing::Adopted));
            assert_eq!(end(dir, tp(1, 1)), Offset(0));
        },
    );
}

#[test]
fn a_crash_at_any_step_of_a_deletion_leaves_no_vanished_folder() {
    crash_everywhere(
        |_| {},
        |dir| dir.delete_partition(tp(1, 0)).map(drop),
        |is_done, dir| {
            let found = standing(dir, tp(1, 0));
            assert!(
                found.is_none() || !is_done && matches!(found, Some(Standing::Held | Standing::Adopted)),
                "{found:?}"
            );
        },
    );
}

#[test]
fn a_crash_at_any_step_of_the_deletion_of_a_distrusted_log_never_trusts_it() {
    crash_everywhere(
        |dir| dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "damaged")).unwrap(),
        |dir| dir.delete_partition(tp(1, 0)).map(drop),
        |is_done, dir| {
            let found = standing(dir, tp(1, 0));
            assert!(found.is_none() || !is_done && matches!(found, Some(Standing::Distrusted(_))), "{found:?}");
        },
    );
}

/// A file that stands where the folder is to be removed: it cannot be.
#[test]
fn a_distrusted_log_that_cannot_be_deleted_stays_distrusted() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "damaged")).unwrap();
    fs::write(folder.path().join(PARTITIONS).join(format!("{}.deleted", tp(1, 0))), "not a folder").unwrap();
    assert!(dir.delete_partition(tp(1, 0)).is_err());
    let opened = dir.add_partition(tp(1, 0), LogConfig::default());
    assert!(matches!(opened, Err(Error::Distrusted { .. })), "{opened:?}");
    let (_, recovered) = dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0), "once it is placed here again");
}

#[test]
fn records_of_a_folder_that_is_not_listed_are_none_of_a_new_replica() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    dir.list.set(tp(1, 0), None).unwrap();
    assert!(dir.has_records(tp(1, 0)) && !dir.has_records(tp(1, 1)));
    let (_, recovered) = dir.add_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(0));
    let aside = &dir.asides().unwrap()[0];
    assert!(aside.partition == tp(1, 0) && aside.bytes > 0);
}

#[test]
fn a_crash_while_a_log_is_distrusted_and_made_again_never_trusts_the_old_one() {
    let reached = Cell::new("held");
    crash_everywhere(
        |_| reached.set("held"),
        |dir| {
            dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "damaged"))?;
            reached.set("distrusted");
            dir.recreate_partition(tp(1, 0), LogConfig::default())?;
            reached.set("made again");
            Ok(())
        },
        |is_done, dir| match standing(dir, tp(1, 0)) {
            Some(Standing::Distrusted(_)) => {
                assert!(!is_done);
                let (_, recovered) = dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
                assert_eq!(recovered.log_end_offset, Offset(0));
            }
            Some(Standing::Held) if reached.get() == "held" => assert_eq!(end(dir, tp(1, 0)), Offset(3)),
            Some(Standing::Held) => assert_eq!(end(dir, tp(1, 0)), Offset(0)),
            found => panic!("{found:?}"),
        },
    );
}

#[test]
fn many_threads_create_partitions_and_all_are_listed() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dir = &dir;
            scope.spawn(move || (0..20).for_each(|n| hold(dir, tp(1, thread * 100 + n), 0)));
        }
    });
    drop(dir);
    let dir = open(&folder);
    assert_eq!(dir.replicas().len(), 160);
    assert!(dir.replicas().iter().all(|replica| replica.standing == Standing::Held));
}

#[test]
fn a_folder_that_cannot_be_looked_at_has_not_vanished() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    let partition = tp(1, 0);
    drop(dir.open_partition(partition, LogConfig::default()).unwrap());
    let path = dir.folder(partition);
    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    for result in [
        dir.open_partition(partition, LogConfig::default()).map(drop),
        dir.recreate_partition(partition, LogConfig::default()).map(drop),
    ] {
        assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    }
    fs::remove_file(&path).unwrap();
    fs::rename(&moved, &path).unwrap();
    dir.open_partition(partition, LogConfig::default()).unwrap();
}

#[test]
fn what_is_left_of_a_distrusted_log_goes_on_and_all_of_it_is_kept_aside() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 9);
    let file = files::file(&dir.folder(tp(1, 0)), Offset(0), files::LOG);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let refused = dir.open_partition(tp(1, 0), LogConfig::default());
    let Err(Error::Damaged { at, .. }) = refused else { panic!("{refused:?}") };
    dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "a bit")).unwrap();
    drop(dir.salvage_partition(tp(1, 0), LogConfig::default(), Unreadable::MayPass).unwrap());
    assert!(at > Offset(0) && at < Offset(9) && end(&dir, tp(1, 0)) == at, "{at}");
    let asides = dir.asides().unwrap();
    assert_eq!(asides.len(), 1);
    assert_eq!(fs::read(files::file(&asides[0].path, Offset(0), files::LOG)).unwrap(), bytes);
    assert!(names(&dir.folder(tp(1, 0))).unwrap().iter().all(|name| name != files::SET_ASIDE), "it counts again");
    // One that is gone begins again.
    dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "once more")).unwrap();
    lose(&folder, tp(1, 0));
    drop(dir.salvage_partition(tp(1, 0), LogConfig::default(), Unreadable::MayPass).unwrap());
    assert_eq!(end(&dir, tp(1, 0)), Offset(0));
    drop(dir);
    assert_eq!(standing(&open(&folder), tp(1, 0)), Some(Standing::Held));
}
