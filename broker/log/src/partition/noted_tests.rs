//! Leader epochs that stand in the mark: they are as durable as those of the checkpoint, for one fsync in place.

use std::fs;

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::EpochChain;

use super::{
    PartitionLog,
    recovery::tests::{contents, restore},
};
use crate::{
    Disk, LogConfig,
    disk::tests::Fault,
    files, mark,
    test_support::{Sample, open, partition, small, tempdir},
};

fn append(log: &mut PartitionLog, epoch: u32) {
    let base = log.log_end_offset().0;
    log.append(&[Sample { epoch, ..Sample::at(base) }.build()]).unwrap();
}

fn begin(log: &mut PartitionLog, epoch: u32) {
    let end = log.log_end_offset();
    log.begin_epoch(LeaderEpoch(epoch), end).unwrap();
}

fn epochs(chain: &EpochChain) -> Vec<(u32, u64)> {
    chain.iter().map(|entry| (entry.leader_epoch.0, entry.start_offset.0)).collect()
}

fn is_noted(folder: &tempfile::TempDir) -> bool {
    !mark::peek(&folder.path().join("p").join(files::MARK)).unwrap().noted.unwrap().is_empty()
}

#[test]
fn an_epoch_costs_one_fsync_and_no_new_file() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    append(&mut log, 0);
    let mut written = 0;
    for epoch in 1..=40 {
        let (checkpoint, before) = (contents(folder.path())[files::EPOCHS].clone(), log.disk.stats().other_syncs);
        if epoch % 2 == 0 {
            append(&mut log, epoch);
        } else {
            begin(&mut log, epoch);
        }
        let syncs = log.disk.stats().other_syncs - before;
        if contents(folder.path())[files::EPOCHS] == checkpoint {
            assert_eq!(syncs, 1, "epoch {epoch}");
        } else {
            written += 1;
        }
        append(&mut log, epoch);
    }
    assert_eq!(written, 40 / 7, "each seventh does not go behind the checkpoint");
}

#[test]
fn epochs_that_were_noted_survive_a_kill_at_any_number_of_them() {
    for count in 1..=20 {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        for epoch in 0..count {
            append(&mut log, epoch);
        }
        begin(&mut log, count);
        let before = log.epochs().clone();
        drop(log);
        for _ in 0..2 {
            let (log, recovered) = open(folder.path(), small());
            assert_eq!((&recovered.epochs, recovered.doubt), (&before, None), "{count} epochs");
            drop(log);
        }
        let (log, _) = open(folder.path(), small());
        log.close().unwrap();
        assert!(!is_noted(&folder), "an earlier program reads the checkpoint alone");
        assert_eq!(open(folder.path(), small()).1.epochs, before);
    }
}

#[test]
fn what_a_truncation_takes_back_does_not_come_again() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    for epoch in [0, 0, 1, 1, 2] {
        append(&mut log, epoch);
    }
    assert!(is_noted(&folder));
    log.truncate_to(Offset(3)).unwrap();
    assert_eq!(epochs(log.epochs()), [(0, 0), (1, 2), (2, 3)], "it is known that it began");
    append(&mut log, 1);
    log.truncate_to(Offset(2)).unwrap();
    append(&mut log, 0);
    let before = log.epochs().clone();
    assert_eq!(epochs(&before), [(0, 0)]);
    drop(log);
    let (mut log, recovered) = open(folder.path(), small());
    assert_eq!((recovered.epochs, recovered.doubt), (before, None));
    log.start_over(Offset(70)).unwrap();
    drop(log);
    assert!(open(folder.path(), small()).1.epochs.is_empty());
}

/// As after a crash between the two: the checkpoint is another one, the mark notes what went behind the old one.
#[test]
fn notes_behind_another_checkpoint_count_for_nothing_and_go_with_the_next_mark() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    for epoch in [0, 1, 2] {
        append(&mut log, epoch);
    }
    log.flush().unwrap();
    log.sync_mark().unwrap();
    let noted = log.marks.noted;
    log.file_epochs().unwrap();
    let before = log.epochs().clone();
    assert!(log.marks.noted.unwrap().is_empty());
    drop(log);
    assert!(is_noted(&folder), "the mark was not written");
    let (mut log, recovered) = open(folder.path(), small());
    assert_eq!((&recovered.epochs, recovered.doubt), (&before, None));
    assert!(!is_noted(&folder));
    begin(&mut log, 3);
    assert_ne!(log.marks.noted, noted);
    drop(log);
    assert_eq!(open(folder.path(), small()).1.epochs.latest(), Some(LeaderEpoch(3)));
}

#[test]
fn a_closed_segment_has_its_epochs_in_the_checkpoint() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    append(&mut log, 0);
    begin(&mut log, 1);
    while log.shared.segments().len() == 1 {
        append(&mut log, 2);
    }
    drop(log);
    // As an earlier program reads it: without the notes, and the last segment through.
    let path = folder.path().join("p").join(files::EPOCHS);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains("\n2 1\n"), "{text}");
}

/// Its newest epochs may be lost with it: what they wrote is not cut, and the log is in doubt as it is.
#[test]
fn epochs_that_were_lost_with_the_mark_cut_nothing() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    for epoch in [0, 1, 2] {
        append(&mut log, epoch);
    }
    let before = log.epochs().clone();
    drop(log);
    fs::remove_file(folder.path().join("p").join(files::MARK)).unwrap();
    let (_, recovered) = open(folder.path(), small());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes, recovered.epochs), (Offset(3), 0, before));
    assert!(recovered.doubt.is_some());
}

/// The log as a crash leaves it that comes after this many changes of 12 batches, each of an epoch of its own. Swapped with its
/// note, a batch would be there without it.
#[test]
fn no_crash_leaves_a_batch_whose_epoch_is_not_noted() {
    for after in 0.. {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), LogConfig::default());
        append(&mut log, 0);
        log.disk.inject(Fault::After(after));
        let is_done =
            (1..=12_u64).try_for_each(|n| log.append(&[Sample { epoch: n as u32, ..Sample::at(n) }.build()])).is_ok();
        let held = log.epochs().clone();
        drop(log);
        let (log, recovered) = open(folder.path(), LogConfig::default());
        assert_eq!((recovered.truncated_bytes, recovered.doubt), (0, None), "after {after}");
        let end = recovered.log_end_offset.0;
        assert!(recovered.epochs.iter().zip(held.iter()).all(|(found, held)| found == held), "after {after}");
        assert_eq!(recovered.epochs.of_last_record(Offset(0), Offset(end), true), Some(LeaderEpoch(end as u32 - 1)));
        drop(log);
        if is_done {
            assert!(after > 24, "{after}");
            return;
        }
    }
}

/// The page cache holds what an fsync that failed has not written, and after that fsyncs nothing. A log that was closed in order
/// writes nothing else as it is opened.
#[test]
fn a_note_that_may_be_in_the_page_cache_alone_is_written_again_before_it_is_believed() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    append(&mut log, 0);
    log.close().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    log.disk.inject(Fault::At { doing: "cannot fsync", path_ends_with: files::MARK });
    assert!(log.begin_epoch(LeaderEpoch(1), Offset(1)).is_err());
    drop(log);
    for doing in ["cannot write", "cannot fsync"] {
        let disk = Disk::new();
        disk.inject(Fault::At { doing, path_ends_with: files::MARK });
        let opened = PartitionLog::open(&disk, &folder.path().join("p"), partition(), LogConfig::default());
        assert!(opened.is_err(), "{doing}");
    }
    let (log, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.epochs.latest(), recovered.was_clean), (Some(LeaderEpoch(1)), true));
    log.close().unwrap();
    let before = Disk::new();
    PartitionLog::open(&before, &folder.path().join("p"), partition(), LogConfig::default()).unwrap();
    assert_eq!(before.stats().other_syncs, 0, "without notes a clean start fsyncs nothing");
}

/// As after an orderly restart: no record has come since the newest epoch began.
#[test]
fn an_epoch_of_an_idle_log_costs_as_little() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    append(&mut log, 0);
    begin(&mut log, 1);
    log.close().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    for epoch in 2..40 {
        let before = log.disk.stats().other_syncs;
        begin(&mut log, epoch);
        assert_eq!(log.disk.stats().other_syncs - before, 1, "epoch {epoch}");
    }
    drop(log);
    assert_eq!(epochs(&open(folder.path(), LogConfig::default()).1.epochs), [(0, 0), (39, 1)]);
}

/// A rename that was not durable yet is undone: which epochs the older checkpoint lacks is not known.
#[test]
fn a_checkpoint_that_the_mark_does_not_name_cuts_nothing() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("p").join(files::EPOCHS);
    let (mut log, _) = open(folder.path(), LogConfig::default());
    append(&mut log, 0);
    let old = fs::read(&path).unwrap();
    for epoch in 1..=9 {
        begin(&mut log, epoch);
        append(&mut log, epoch);
    }
    assert_ne!(fs::read(&path).unwrap(), old);
    let before = log.epochs().clone();
    drop(log);
    fs::write(&path, old).unwrap();
    let (_, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.truncated_bytes, recovered.doubt, recovered.epochs), (0, None, before));
}

/// What is bad there is not known, and what is not known cuts nothing.
#[test]
fn a_flipped_bit_of_the_notes_cuts_nothing() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    for epoch in [0, 1, 2] {
        append(&mut log, epoch);
    }
    log.flush().unwrap();
    append(&mut log, 3);
    append(&mut log, 3);
    drop(log);
    let before = contents(folder.path());
    let chain = open(folder.path(), LogConfig::default()).1.epochs;
    let path = folder.path().join("p").join(files::MARK);
    for at in (0..2).flat_map(|slot| (0..300).map(move |at| slot * 4096 + at)) {
        restore(folder.path(), &before);
        let mut flipped = before[files::MARK].clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let (_, recovered) = open(folder.path(), LogConfig::default());
        let found = (recovered.log_end_offset, recovered.truncated_bytes, recovered.epochs, recovered.doubt);
        assert_eq!(found, (Offset(5), 0, chain.clone(), None), "byte {at}");
    }
}

/// The first epoch is a checkpoint of its own: the mark that is durable then names it.
#[test]
fn a_changed_epoch_of_the_first_batches_leaves_a_doubt() {
    for is_started_over in [false, true] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), LogConfig::default());
        if is_started_over {
            append(&mut log, 0);
            log.start_over(Offset(70)).unwrap();
        }
        let base = log.log_end_offset();
        begin(&mut log, 3);
        let durable = fs::read(folder.path().join("p").join(files::MARK)).unwrap();
        append(&mut log, 3);
        log.flush().unwrap();
        drop(log);
        // As after a power loss: the batch is durable, and what the mark says of it is not.
        fs::write(folder.path().join("p").join(files::MARK), durable).unwrap();
        let segment = files::file(&folder.path().join("p"), base, files::LOG);
        let mut bytes = fs::read(&segment).unwrap();
        bytes[15] ^= 8; // in the leader epoch
        fs::write(&segment, bytes).unwrap();
        let (_, recovered) = open(folder.path(), LogConfig::default());
        assert!(recovered.doubt.is_some(), "started over: {is_started_over}");
        assert_eq!((recovered.log_end_offset, recovered.epochs.latest()), (base, Some(LeaderEpoch(3))));
    }
}
