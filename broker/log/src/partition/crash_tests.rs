//! Logs whose writer ends at any step, on a disk that fails there.

use std::{fs, path::Path};

use holdfast_proto::ids::{LeaderEpoch, Offset};

use crate::{
    Disk, Error, PartitionLog,
    disk::tests::Fault,
    files,
    test_support::{Sample, fill, open, open_on, partition, read_all, small, tempdir, try_open},
};

/// Does `change` on a log of 60 records of which 20 to 60 are there, failing at each disk operation in turn, and opens
/// the log again. Gives what was recovered to `check`, with true if the change was done.
fn crash_everywhere(
    change: impl Fn(&mut PartitionLog) -> Result<(), Error>,
    check: impl Fn(bool, &PartitionLog, &crate::Recovered),
) {
    let mut failed_at = 0;
    loop {
        let folder = tempdir().unwrap();
        let disk = Disk::new();
        let mut log = open_on(&disk, folder.path(), small());
        fill(&mut log, 60);
        log.advance_log_start(Offset(20)).unwrap();
        disk.inject(Fault::After(failed_at));
        let is_done = change(&mut log).is_ok();
        drop(log);
        let context = format!("failed at operation {failed_at}");
        let (mut log, recovered) = try_open(folder.path(), small()).expect(&context);
        assert!(recovered.log_start_offset <= recovered.log_end_offset, "{context}");
        check(is_done, &log, &recovered);
        // It goes on from there.
        let (start, end) = (recovered.log_start_offset.0, recovered.log_end_offset.0);
        log.append(&[Sample { epoch: 50, ..Sample::at(end) }.build()]).unwrap();
        log.flush().unwrap();
        assert_eq!(read_all(&log, start).expect(&context), (start..=end).collect::<Vec<_>>());
        drop(log);
        assert_eq!(open(folder.path(), small()).1.log_end_offset, Offset(end + 1), "{context}");
        if is_done {
            break;
        }
        failed_at += 1;
    }
    assert!(failed_at > 1, "the change has {failed_at} steps");
}

#[test]
fn a_crash_at_any_step_of_a_truncation_leaves_a_log() {
    for to in [21, 40, 58] {
        crash_everywhere(
            |log| log.truncate_to(Offset(to)),
            |is_done, _, recovered| {
                let end = recovered.log_end_offset.0;
                assert!(if is_done { end == to } else { (to..=60).contains(&end) }, "{end}");
                assert_eq!(recovered.log_start_offset, Offset(20));
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_a_start_over_leaves_a_log() {
    for at in [0, 30, 60, 500] {
        crash_everywhere(
            |log| log.start_over(Offset(at)),
            |is_done, _, recovered| {
                let range = (recovered.log_start_offset.0, recovered.log_end_offset.0);
                assert!(!is_done || range == (at, at), "{range:?}");
                assert!(range.1 == at || range.1 <= 60, "{range:?}");
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_retention_keeps_the_rest() {
    for to in [21, 45, 60] {
        crash_everywhere(
            |log| log.advance_log_start(Offset(to)),
            |is_done, _, recovered| {
                let start = recovered.log_start_offset.0;
                assert!(start == to || (!is_done && start == 20), "{start}");
                assert_eq!(recovered.log_end_offset, Offset(60));
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_appending_over_segments_keeps_what_was_flushed() {
    let flushed = std::cell::Cell::new(0);
    crash_everywhere(
        |log| {
            flushed.set(60);
            for base in 60..100 {
                log.append(&[Sample { producer: Some((1, base as i32 - 60)), ..Sample::at(base) }.build()])?;
                log.flush()?;
                flushed.set(base + 1);
            }
            log.begin_epoch(LeaderEpoch(3), Offset(100))
        },
        |_, _, recovered| {
            assert!(recovered.log_end_offset.0 >= flushed.get());
            assert_eq!(recovered.producers.len(), usize::from(recovered.log_end_offset.0 > 60));
        },
    );
}

#[test]
fn a_crash_at_any_step_of_creation_or_recovery_leaves_a_log_and_its_doubt() {
    // (batches, what was done to the killed log)
    type Harm = fn(&Path);
    let harms: [(u64, Harm); 3] = [
        (0, |_| {}),
        (40, |p| fs::remove_file(p.join(files::MARK)).unwrap()),
        (40, |p| {
            let segments = files::list(p).unwrap().segments;
            let last = files::file(p, segments[segments.len() - 1], files::LOG);
            let mut bytes = fs::read(&last).unwrap();
            bytes.extend_from_slice(&[7; 100]);
            fs::write(last, bytes).unwrap();
        }),
    ];
    for (number, (batches, harm)) in harms.into_iter().enumerate() {
        let mut failed_at = 0;
        loop {
            let folder = tempdir().unwrap();
            if batches > 0 {
                let (mut log, _) = open(folder.path(), small());
                fill(&mut log, batches);
                drop(log);
            }
            harm(&folder.path().join("p"));
            let disk = Disk::new();
            disk.inject(Fault::After(failed_at));
            let is_done = PartitionLog::open(&disk, &folder.path().join("p"), partition(), small()).is_ok();
            let (_, recovered) = open(folder.path(), small());
            assert_eq!(recovered.log_end_offset, Offset(batches), "step {failed_at}");
            assert_eq!(recovered.doubt.is_some(), batches > 0, "harm {number}, step {failed_at}");
            if is_done {
                break;
            }
            failed_at += 1;
        }
        assert!(failed_at > 3);
    }
}
