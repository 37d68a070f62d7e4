use holdfast_proto::ids::{LeaderEpoch, Offset};

use super::*;
use crate::{
    Distrust, LogConfig, Unreadable,
    data_dir::partitions::tests::{hold, make_again, open, tp},
    disk::tests::Fault,
    test_support::{Sample, tempdir},
};

fn set_aside(dir: &DataDir, partition: TopicPartition, records: u64) -> PathBuf {
    hold(dir, partition, records);
    make_again(dir, partition)
}

#[test]
fn each_that_is_set_aside_gets_a_name_of_its_own_and_none_is_deleted_for_it() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    let aside: Vec<PathBuf> = (1..=5).map(|records| set_aside(&dir, tp(1, 0), records)).collect();
    hold(&dir, tp(1, 0), 6);
    dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "damaged")).unwrap();
    dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    assert!(aside.iter().all(|path| path.exists()));
    let mut sizes: Vec<u64> = dir.asides().unwrap().iter().map(|aside| aside.bytes).collect();
    sizes.sort_unstable();
    assert!(sizes.len() == 6 && sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    fs::remove_dir_all(&aside[1]).unwrap();
    assert!(set_aside(&dir, tp(1, 0), 1).to_string_lossy().contains(".damaged-7-"), "a number is not given again");
}

/// The last resort fails at each step in turn, as for want of room, and is tried again.
#[test]
fn what_is_cut_is_set_aside_once_as_it_was_however_often_that_is_tried() {
    for failed_at in 0.. {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        hold(&dir, tp(1, 0), 9);
        fs::create_dir(dir.folder(tp(1, 0)).join("a folder")).unwrap();
        let log = files::file(&dir.folder(tp(1, 0)), Offset(0), files::LOG);
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&log, &bytes).unwrap();
        dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "a bit")).unwrap();
        let salvage = |dir: &DataDir| dir.salvage_partition(tp(1, 0), LogConfig::default(), Unreadable::MayPass);
        dir.disk.inject(Fault::After(failed_at));
        let is_done = salvage(&dir).is_ok();
        drop(dir);
        let dir = open(&folder);
        if dir.distrusted(tp(1, 0)).is_some() {
            salvage(&dir).unwrap();
        }
        let asides = dir.asides().unwrap();
        assert_eq!(asides.len(), 1, "failed at step {failed_at}");
        assert!(fs::read(asides[0].path.join(log.file_name().unwrap())).unwrap() == bytes);
        assert!(asides[0].path.join(files::MARK).exists());
        // Another time is another one.
        hold(&dir, tp(1, 0), 3);
        dir.distrust(tp(1, 0), Distrust::new(Cause::Damaged, "again")).unwrap();
        salvage(&dir).unwrap();
        assert_eq!(dir.asides().unwrap().len(), 2);
        if is_done {
            assert!(failed_at > 10, "it has {failed_at} steps");
            return;
        }
    }
}

#[test]
fn one_of_an_earlier_program_counts_from_when_it_is_first_seen() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    let old = set_aside(&dir, tp(1, 0), 3);
    let before = AsideName { partition: tp(1, 0), number: 1, since: None, has_halted: false };
    let before = dir.path().join(PARTITIONS).join(before.to_string());
    fs::rename(&old, &before).unwrap();
    let seen = dir.asides().unwrap();
    assert!(!before.exists() && seen[0].path.exists() && seen[0].age_ms < 60_000, "{seen:?}");
    drop(dir);
    let dir = open(&folder);
    assert_eq!(dir.asides().unwrap()[0].path, seen[0].path, "it keeps its time");
    dir.remove_aside(&seen[0]).unwrap();
    assert!(dir.asides().unwrap().is_empty() && !seen[0].path.exists());
}

#[test]
fn names_of_others_are_left_alone() {
    for (since, has_halted) in [(None, false), (Some(7), false), (Some(-5), false), (Some(7), true)] {
        let named = AsideName { partition: tp(1, 0), number: 2, since, has_halted };
        assert_eq!(AsideName::parse(&named.to_string()), Some(named));
    }
    for other in [
        "lost+found",
        ".damaged-1",
        ".halted-1",
        "x-0.damaged-1",
        &format!("{}.damaged-x", tp(1, 0)),
        &tp(1, 0).to_string(),
    ] {
        assert!(AsideName::parse(other).is_none(), "{other}");
    }
}

#[test]
fn what_stands_aside_tells_whether_it_halted_and_which_leadership_it_knew() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    for (number, cause) in [Cause::Damaged, Cause::Halted].into_iter().enumerate() {
        let (mut log, _) = dir.open_partition(tp(1, 0), LogConfig::default()).unwrap();
        log.append(&[Sample { epoch: number as u32 + 3, ..Sample::at(0) }.build()]).unwrap();
        log.close().unwrap();
        dir.distrust(tp(1, 0), Distrust::new(cause, "wrong")).unwrap();
        dir.recreate_partition(tp(1, 0), LogConfig::default()).unwrap();
    }
    let mut asides = dir.asides().unwrap();
    asides.sort_by_key(|aside| aside.has_halted);
    let told: Vec<_> = asides.iter().map(|aside| (aside.has_halted, aside.latest_epoch)).collect();
    assert_eq!(told, [(false, Some(LeaderEpoch(3))), (true, Some(LeaderEpoch(4)))]);
    fs::write(asides[0].path.join(files::EPOCHS), "no epochs").unwrap();
    let asides = dir.asides().unwrap();
    assert!(asides.iter().any(|aside| aside.latest_epoch.is_none()), "{asides:?}");
    assert!(set_aside(&dir, tp(1, 0), 1).to_string_lossy().contains(".damaged-3-"), "one count for both");
}

#[test]
fn the_old_go_and_those_of_deleted_topics_and_the_oldest_for_want_of_space() {
    let aside = |topic, age_ms| Aside {
        partition: tp(topic, 0),
        path: format!("{age_ms}").into(),
        age_ms,
        bytes: 1,
        has_halted: false,
        latest_epoch: None,
    };
    let all = [aside(1, 50), aside(1, 70), aside(2, 60)];
    let ages = |max_age_ms, is_disk_low, worth: [AsideWorth; 2]| -> Vec<u64> {
        let of = |aside: &Aside| worth[usize::from(aside.partition == tp(2, 0))];
        asides_due(&all, KeepAside { max_age_ms, is_disk_low }, of).iter().map(|(aside, _)| aside.age_ms).collect()
    };
    let (nothing, spare, needed) = (AsideWorth::Nothing, AsideWorth::Spare, AsideWorth::Needed);
    assert_eq!(ages(Some(70), false, [spare; 2]), [] as [u64; 0]);
    assert_eq!(ages(Some(59), false, [spare; 2]), [70, 60]);
    assert_eq!(ages(None, false, [spare, nothing]), [60]);
    assert_eq!(ages(None, true, [spare; 2]), [70], "one at a time");
    assert_eq!(ages(Some(59), true, [spare; 2]), [70, 60]);
    // What may be the only copy stays, however old it is, and however full the disk.
    assert_eq!(ages(Some(59), true, [needed, spare]), [60]);
    assert_eq!(ages(None, true, [needed, spare]), [60]);
    assert_eq!(ages(Some(0), true, [needed; 2]), [] as [u64; 0]);
}
