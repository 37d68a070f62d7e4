//! `holdfast-controller recover`: stopped in the middle, run twice, and on folders that others refused.

use std::fs;

use tempfile::TempDir;

use holdfast_controller::{
    config::Config,
    exit::Fatal,
    recover::{Recover, recover},
};

use crate::{
    copies::{copied, ended, go_on, is_refused, restore, with_an_older_copy},
    support::Quorum,
};

/// The controller that is gone on with.
const LEFT: usize = 0;

fn same(_: &mut Config) {}

/// The order, answered with yes, but for what loses something.
pub(crate) fn look(quorum: &Quorum, at: usize) -> Recover {
    let data_dir = quorum.data_dir(at);
    Recover { data_dir, yes: true, ..Recover::default() }
}

pub(crate) fn order(quorum: &Quorum, at: usize) -> Recover {
    Recover { accept_loss: true, ..look(quorum, at) }
}

/// Three controllers that were stopped, and the folder of the one that is gone on with.
fn stopped() -> (Quorum, TempDir) {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    let folder = copied(&quorum.data_dir(LEFT));
    (quorum, folder)
}

/// It serves alone, with so many recoveries in its metadata; the others join with empty folders.
fn serves(quorum: &mut Quorum, left: usize, recoveries: usize) {
    quorum.start(left);
    assert_eq!(quorum.active(), left);
    let others: Vec<usize> = (0..3).filter(|at| *at != left).collect();
    for at in &others {
        fs::remove_dir_all(quorum.data_dir(*at)).expect("remove");
        quorum.start(*at);
    }
    quorum.votes(&[0, 1, 2]);
    let image = quorum.node(left).node().view().image();
    let recoveries_found = image.controller_recoveries();
    assert_eq!(recoveries_found.len(), recoveries, "{recoveries_found:?}");
    if let Some(last) = recoveries_found.last() {
        assert_eq!(last.given_up.len(), others.len(), "{last:?}");
    }
}

#[test]
fn a_look_changes_nothing() {
    let (mut quorum, _) = stopped();
    recover(&look(&quorum, LEFT)).expect("it says what is there");
    (0..3).for_each(|at| quorum.start(at));
    quorum.votes(&[0, 1, 2]);
    assert!(quorum.node(LEFT).node().view().image().controller_recoveries().is_empty());
}

#[test]
fn it_can_be_stopped_at_any_point_and_run_again() {
    let (mut quorum, before) = stopped();
    // Up to its one write nothing has changed: the folder is the one of before.
    recover(&look(&quorum, LEFT)).expect("it says what is there");
    // Behind that write, before the mark of what was told follows.
    recover(&order(&quorum, LEFT)).expect("it goes on");
    let told = quorum.data_dir(LEFT).join("told");
    let (mark, mark_before) = (fs::read(&told), fs::read(before.path().join("told")).expect("a mark"));
    assert_ne!(mark.expect("a mark"), mark_before, "the mark followed: the case proves nothing else");
    fs::write(&told, mark_before).expect("write");
    // Nothing is left to be given up, and nothing is given up twice.
    recover(&order(&quorum, LEFT)).expect("it says so");
    serves(&mut quorum, LEFT, 1);
}

#[test]
fn it_can_be_run_again_where_the_folder_of_before_was_put_back() {
    let (mut quorum, before) = stopped();
    recover(&order(&quorum, LEFT)).expect("it goes on");
    restore(&quorum.data_dir(LEFT), &before);
    recover(&order(&quorum, LEFT)).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
}

#[test]
fn a_second_recovery_is_kept_beside_the_first() {
    let (mut quorum, _) = stopped();
    recover(&order(&quorum, LEFT)).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    // The controllers that joined since know of it, and are as good.
    recover(&order(&quorum, 2)).expect("it goes on");
    serves(&mut quorum, 2, 2);
}

/// The only folder that is left is one that the others refused: it starts no more, but by this order.
#[test]
fn a_refused_copy_goes_on_once_that_is_asked_for() {
    let (mut quorum, harmed, older) = with_an_older_copy();
    go_on(&mut quorum);
    quorum.kill(harmed);
    restore(&quorum.data_dir(harmed), &older);
    quorum.start(harmed);
    is_refused(&ended(&quorum, harmed));
    (0..3).for_each(|at| quorum.kill(at));

    let why = recover(&order(&quorum, harmed)).expect_err("it is not asked for");
    assert!(matches!(&why, Fatal::StoreDamaged(text) if text.contains("refused this folder as a copy")), "{why}");
    let started = holdfast_controller::run(quorum.config(harmed));
    is_refused(&started.err().expect("nothing was changed"));
    recover(&Recover { accept_older_store: true, ..order(&quorum, harmed) }).expect("it goes on");
    serves(&mut quorum, harmed, 1);
    // It is like any other since.
    quorum.restart(harmed);
    go_on(&mut quorum);
    quorum.votes(&[0, 1, 2]);
}

/// All three folders are copies of different times. Who meets one that knows more of it is refused; the order goes on with
/// the one that knows most, whatever was refused beside it.
#[test]
fn the_newest_of_three_copies_goes_on_beside_refused_ones() {
    let mut quorum = Quorum::formed(3, same);
    let mut copies = Vec::new();
    for at in 0..3 {
        go_on(&mut quorum);
        quorum.kill(at);
        copies.push(copied(&quorum.data_dir(at)));
        quorum.start(at);
    }
    go_on(&mut quorum);
    (0..3).for_each(|at| quorum.kill(at));
    for (at, copy) in copies.iter().enumerate() {
        restore(&quorum.data_dir(at), copy);
    }
    (0..3).for_each(|at| quorum.start(at));
    is_refused(&ended(&quorum, 0));
    (0..3).for_each(|at| quorum.kill(at));
    let newest = 2;
    recover(&Recover { accept_older_store: true, ..order(&quorum, newest) }).expect("it goes on");
    serves(&mut quorum, newest, 1);
}

/// Nothing says what the only folder that is left has told: it may have told more than it holds.
#[test]
fn a_folder_whose_mark_is_missing_or_damaged_goes_on_once_that_is_asked_for() {
    let (mut quorum, _) = stopped();
    let told = quorum.data_dir(LEFT).join("told");
    for damage in [None, Some([0x5a; 64])] {
        match damage {
            None => fs::remove_file(&told).expect("a mark"),
            Some(bytes) => fs::write(&told, bytes).expect("write"),
        }
        let why = recover(&order(&quorum, LEFT)).expect_err("it is not asked for");
        assert!(matches!(&why, Fatal::StoreDamaged(text) if text.contains("its mark")), "{why}");
        let started = holdfast_controller::run(quorum.config(LEFT)).err().expect("nothing was changed");
        assert!(matches!(&started, Fatal::StoreDamaged(text) if text.contains("the mark")), "{started}");
    }
    recover(&Recover { accept_older_store: true, ..order(&quorum, LEFT) }).expect("it goes on");
    serves(&mut quorum, LEFT, 1);
    quorum.restart(LEFT);
    go_on(&mut quorum);
}
