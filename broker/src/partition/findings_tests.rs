use std::{io, path::Path};

use futures::FutureExt;
use uuid::Uuid;

use holdfast_log::{Disk, LogConfig, PartitionLog};
use holdfast_proto::ids::{PartitionIndex, TopicId};

use super::*;

#[test]
fn what_a_folder_notes_is_told_as_it_was_found() {
    for reason in [DistrustReason::Damaged, DistrustReason::Vanished, DistrustReason::Halted] {
        assert_eq!(reason_of(cause_of(reason)), reason);
    }
}

#[test]
fn the_first_finding_of_a_replica_is_the_one_that_is_told() {
    let findings = Findings::default();
    assert!(findings.take().now_or_never().is_none());
    let partition = partition();
    let finding = |detail: &str| Finding {
        reason: DistrustReason::Damaged,
        detail: detail.to_owned(),
        log: None,
        is_dead: detail == "dead",
        is_unreadable: false,
        readable_end: None,
    };
    let halted = || Finding { reason: DistrustReason::Halted, ..finding("halted") };
    let told = |found: Vec<Finding>| {
        for finding in found {
            findings.put(partition, finding);
        }
        let taken = findings.take().now_or_never().expect("there is one");
        assert!(findings.take().now_or_never().is_none());
        taken.into_iter().map(|(_, finding)| finding.detail).collect::<Vec<_>>()
    };
    assert_eq!(told(vec![finding("first"), finding("second")]), ["first"]);
    assert_eq!(told(vec![halted(), finding("second"), finding("dead")]), ["halted"]);
    assert_eq!(told(vec![finding("first"), finding("second"), halted(), finding("dead")]), ["halted"]);
    assert_eq!(told(vec![finding("first"), finding("dead"), halted()]), ["dead"], "whatever lets it go on");
}

fn partition() -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
}

fn open(folder: &Path) -> PartitionLog {
    PartitionLog::open(&Disk::new(), folder, partition(), LogConfig::default()).unwrap().0
}

#[test]
fn a_log_whose_reads_are_refused_or_fail_again_and_again_is_found_so_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("p"));
    // As Linux numbers them.
    let found = |errno: i32| {
        let findings = Arc::new(Findings::default());
        let (log, failing) = (log.reader(), Arc::default());
        let reporter = Reporter { partition: partition(), log, findings: Arc::clone(&findings), failing };
        let source = Arc::new(io::Error::from_raw_os_error(errno));
        let error = Error::Io { doing: "cannot read", path: "a file".into(), source };
        for n in 0..4 {
            assert!(findings.drain().is_empty(), "once may be chance: {errno}");
            reporter.count(Offset(7), &error, Millis(n * 5_000));
        }
        findings.drain().into_iter().next().map(|(_, finding)| finding)
    };
    let (eperm, eio, eacces) = (1, 5, 13);
    for errno in [eperm, eio, eacces] {
        let finding = found(errno).unwrap_or_else(|| panic!("nothing is found of {errno}"));
        assert!(finding.is_unreadable && finding.reason == DistrustReason::Damaged && finding.log.is_some());
    }
    let (emfile, enomem) = (24, 12);
    assert!(found(emfile).is_none() && found(enomem).is_none(), "want of handles passes");
}

#[test]
fn what_can_be_read_ends_where_the_first_of_several_findings_says() {
    let (folder, partition) = (tempfile::tempdir().unwrap(), partition());
    let log = open(&folder.path().join("log"));
    let reporter = Reporter {
        partition,
        log: log.reader(),
        findings: Arc::new(Findings::default()),
        failing: Arc::new(FailingReads::default()),
    };
    let damaged = |at| Error::Damaged {
        path: folder.path().join("00000000000000000000.log"),
        at: Offset(at),
        position: 0,
        reason: String::new(),
    };
    for at in [70, 30, 50] {
        reporter.read_failed(&damaged(at), false);
    }
    reporter.findings.put(partition, Finding::halted(&log.reader(), "halted".to_owned()));
    let found: Vec<_> = reporter.findings.drain().into_iter().collect();
    let [(_, Finding { reason, readable_end, .. })] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*reason, *readable_end), (DistrustReason::Halted, Some(Offset(30))));
}

#[test]
fn what_was_found_of_a_log_that_is_closed_gives_way_to_what_is_open() {
    let (folder, partition) = (tempfile::tempdir().unwrap(), partition());
    let (old, new) = (open(&folder.path().join("old")), open(&folder.path().join("new")));
    let (of_old, of_new) = (old.reader(), new.reader());
    old.close().unwrap();
    let told = |found: Vec<Finding>| {
        let mut all = Found::default();
        for finding in found {
            all.put(partition, finding);
        }
        all.into_iter().map(|(_, finding)| finding.detail).collect::<Vec<_>>()
    };
    let late = || Finding::halted(&of_old, "late".to_owned());
    let present = || Finding::damaged(&of_new, "present".to_owned());
    assert_eq!(told(vec![late(), present()]), ["present"]);
    assert_eq!(told(vec![present(), late()]), ["present"]);
}
