//! Doubts of logs, which go once their replicas are in sync.

use std::{cell::RefCell, fs};

use holdfast_proto::ids::{Offset, TopicPartition};

use super::{
    DataDir,
    partitions::tests::{crash_everywhere, end, hold, open, standing, tp},
};
use crate::{Cause, Distrust, LogConfig, Standing, files, test_support::tempdir};

/// Lets the next opening of a log find that its end may be lost.
fn lose_mark(dir: &DataDir, partition: TopicPartition) {
    fs::remove_file(dir.folder(partition).join(files::MARK)).unwrap();
}

fn doubt(dir: &DataDir, partition: TopicPartition) -> Option<String> {
    dir.open_partition(partition, LogConfig::default()).unwrap().1.doubt
}

#[test]
fn the_doubt_that_is_settled_goes_and_the_log_stays() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    lose_mark(&dir, tp(1, 0));
    let found = doubt(&dir, tp(1, 0)).unwrap();
    assert!(!dir.settle_doubt(tp(1, 0), "that of another opening").unwrap());
    assert_eq!(doubt(&dir, tp(1, 0)).as_ref(), Some(&found), "it stands");
    assert!(dir.settle_doubt(tp(1, 0), &found).unwrap());
    assert!(!dir.settle_doubt(tp(1, 0), &found).unwrap(), "once");
    assert_eq!((doubt(&dir, tp(1, 0)), end(&dir, tp(1, 0))), (None, Offset(3)));
    assert!(!dir.settle_doubt(tp(1, 7), &found).unwrap(), "there is none");
}

/// A replica is found in sync, and wrong, at nearly the same time: whichever is noted first.
#[test]
fn what_is_noted_against_a_replica_stands_when_its_doubt_is_settled() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    hold(&dir, tp(1, 0), 3);
    lose_mark(&dir, tp(1, 0));
    let found = doubt(&dir, tp(1, 0)).unwrap();
    let halted = Distrust::new(Cause::Halted, "its leader contradicts it");
    dir.distrust(tp(1, 0), halted.clone()).unwrap();
    assert!(!dir.settle_doubt(tp(1, 0), &found).unwrap());
    assert_eq!(dir.distrusted(tp(1, 0)), Some(halted.clone()));
    drop(dir);
    assert_eq!(standing(&open(&folder), tp(1, 0)), Some(Standing::Distrusted(halted)));
}

#[test]
fn a_crash_while_a_doubt_is_settled_leaves_it_or_a_log_without() {
    let found = RefCell::new(String::new());
    crash_everywhere(
        |dir| {
            lose_mark(dir, tp(1, 0));
            found.replace(doubt(dir, tp(1, 0)).unwrap());
        },
        |dir| dir.settle_doubt(tp(1, 0), &found.borrow()).map(|_| ()),
        |is_done, dir| {
            assert_eq!(standing(dir, tp(1, 0)), Some(Standing::Held));
            assert!(!is_done || doubt(dir, tp(1, 0)).is_none());
            assert_eq!(end(dir, tp(1, 0)), Offset(3));
        },
    );
}
