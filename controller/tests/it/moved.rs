//! Controllers that come back under other addresses, with their disks or without.

use std::time::Duration;

use holdfast_controller::{config::Config, exit::Fatal, run};

use crate::{
    broker::{Broker, Disk},
    load::Load,
    support::{Quorum, copy, eventually},
};

fn same(_: &mut Config) {}

/// The load asks everybody.
const NOBODY: usize = usize::MAX;

fn term(quorum: &Quorum) -> u64 {
    quorum.node(quorum.active()).node().role().borrow().term
}

#[test]
fn all_come_back_under_other_addresses_at_once() {
    let mut quorum = Quorum::formed(3, same);
    Broker::start(&quorum, Disk::new(1)).kill();
    quorum.converge();
    let (cluster, image) = (quorum.cluster_id(), quorum.node(quorum.active()).node().view().image());
    let ids: Vec<u64> = (0..3).map(|at| quorum.node(at).node().id()).collect();
    (0..3).for_each(|at| quorum.kill(at));
    (0..3).for_each(|at| quorum.relocate(at));
    (0..3).for_each(|at| quorum.start(at));
    assert_eq!(quorum.cluster_id(), cluster);
    assert!(
        quorum.node(quorum.active()).node().view().image().index() >= image.index(),
        "an acknowledged change is gone"
    );
    assert_eq!((0..3).map(|at| quorum.node(at).node().id()).collect::<Vec<_>>(), ids);
    quorum.votes(&[0, 1, 2]);
    // From now on it is found by the membership.
    let broker = Broker::start(&quorum, Disk::new(2));
    let load = Load::start(&quorum, &broker, NOBODY);
    load.goes_on();
    let active = quorum.active();
    quorum.kill(active);
    load.goes_on();
    quorum.start(active);
    quorum.converge();
    load.stop(&quorum);
}

#[test]
fn two_that_changed_places_keep_their_votes() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    quorum.kill(0);
    quorum.kill(1);
    quorum.addresses.swap(0, 1);
    quorum.start(0);
    quorum.start(1);
    quorum.votes(&[0, 1, 2]);
    quorum.converge();
}

#[test]
fn one_moves_while_the_others_serve() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    let moved = quorum.passive();
    let load = Load::start(&quorum, &broker, moved);
    quorum.kill(moved);
    quorum.relocate(moved);
    quorum.start(moved);
    // The others learn of the address one after another.
    for at in (0..3).filter(|at| *at != moved) {
        quorum.restart(at);
        load.goes_on();
    }
    quorum.votes(&[0, 1, 2]);
    load.goes_on();
    load.stop(&quorum);
    eventually("the answer to a roll", || quorum.probe(moved, "safe-to-stop-next"));
}

#[test]
fn a_blank_disk_at_a_new_address_takes_the_place_of_the_one_that_is_gone() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    let lost = quorum.passive();
    let load = Load::start(&quorum, &broker, lost);
    let old = quorum.node(lost).node().id();
    quorum.kill(lost);
    std::fs::remove_dir_all(quorum.data_dir(lost)).expect("an empty folder");
    quorum.relocate(lost);
    quorum.start(lost);
    for at in (0..3).filter(|at| *at != lost) {
        quorum.restart(at);
        load.goes_on();
    }
    quorum.votes(&[0, 1, 2]);
    assert_ne!(quorum.node(lost).node().id(), old);
    load.goes_on();
    load.stop(&quorum);
}

/// Three controllers whose `peers` have a fourth place, and there a copy of one of them, not started; gives both.
fn with_a_copy() -> (Quorum, usize, usize) {
    let mut quorum = Quorum::new(4, same);
    (0..3).for_each(|at| quorum.list(at, &[0, 1, 2]));
    (0..3).for_each(|at| quorum.start(at));
    quorum.converge();
    (0..3).for_each(|at| quorum.list(at, &[0, 1, 2, 3]));
    (0..3).for_each(|at| {
        quorum.restart(at);
        quorum.converge();
    });
    let original = quorum.passive();
    quorum.kill(original);
    copy(&quorum.data_dir(original), &quorum.data_dir(3));
    quorum.start(original);
    quorum.converge();
    (quorum, original, 3)
}

#[test]
fn a_copy_beside_the_living_original_takes_over_nothing() {
    let (mut quorum, original, copied) = with_a_copy();
    let acknowledged = |quorum: &Quorum| {
        let id = quorum.node(original).node().id();
        let members = quorum.node(quorum.active()).node().members();
        members.into_iter().find(|member| member.id == id).and_then(|member| member.matched)
    };
    let copied_at = eventually("the original to be heard", || acknowledged(&quorum));
    let broker = Broker::start(&quorum, Disk::new(1));
    let load = Load::start(&quorum, &broker, copied);
    // Else the copy is as good as the original, and may take its place.
    eventually("the original to acknowledge more", || acknowledged(&quorum) > Some(copied_at));
    let before = term(&quorum);
    quorum.start(copied);
    let failed = quorum.node(copied).failed();
    let ended = quorum.block_on(async { tokio::time::timeout(Duration::from_secs(30), failed).await });
    assert!(matches!(ended, Ok(Fatal::Copied { .. })), "the copy is told, and ends: {ended:?}");
    quorum.kill(copied);
    load.goes_on();
    quorum.votes(&[0, 1, 2]);
    // The original is away and comes back: the copy does not take its place either.
    quorum.kill(original);
    assert!(run(quorum.config(copied)).is_err_and(|fatal| matches!(fatal, Fatal::Copied { .. })), "it starts no more");
    quorum.start(original);
    quorum.votes(&[0, 1, 2]);
    load.goes_on();
    load.stop(&quorum);
    assert_eq!(term(&quorum), before, "the leadership was disturbed");
    quorum.converge();
}
