//! Disks that are lost: empty folders take the places of the lost ones, and nothing else does.

use std::time::{Duration, Instant};

use holdfast_controller::{config::Config, exit::Fatal};

use crate::{
    broker::{Broker, Disk},
    load::Load,
    support::{Quorum, copy, eventually},
};

fn same(_: &mut Config) {}

/// The load asks everybody.
const NOBODY: usize = usize::MAX;

fn wipe(quorum: &mut Quorum, at: usize) {
    quorum.kill(at);
    std::fs::remove_dir_all(quorum.data_dir(at)).expect("an empty folder");
}

/// Waits until `at` votes, by its own account and by the active controller's, with nobody else at its address.
#[track_caller]
fn votes(quorum: &Quorum, at: usize) {
    let own = quorum.node(at).node().id();
    eventually("the newcomer to vote", || {
        let members = quorum.node(quorum.active()).node().members();
        let here: Vec<_> = members.iter().filter(|member| member.address == quorum.addresses[at]).collect();
        let alone = here.len() == 1 && here[0].id == own && here[0].voter;
        (alone && members.len() == quorum.addresses.len() && quorum.node(at).standing().voter).then_some(())
    });
}

#[test]
fn three_disks_are_lost_one_after_another_while_changes_go_on() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let cluster = quorum.cluster_id();
    let load = Load::start(&quorum, &broker, NOBODY);
    for at in 0..3 {
        load.goes_on();
        let old = quorum.node(at).node().id();
        wipe(&mut quorum, at);
        let since = Instant::now();
        quorum.start(at);
        votes(&quorum, at);
        println!("controller {at} voted again {} ms after its start with an empty disk", since.elapsed().as_millis());
        assert_ne!(quorum.node(at).node().id(), old);
        load.goes_on();
    }
    let (changes, longest) = load.stop(&quorum);
    println!("{changes} changes, the longest pause {} ms", longest.as_millis());
    assert_eq!(quorum.cluster_id(), cluster);
    quorum.converge();
}

#[test]
fn the_active_controllers_disk_is_lost() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    let load = Load::start(&quorum, &broker, NOBODY);
    for _ in 0..2 {
        load.goes_on();
        let active = quorum.active();
        wipe(&mut quorum, active);
        quorum.start(active);
        votes(&quorum, active);
    }
    load.goes_on();
    load.stop(&quorum);
}

#[test]
fn five_controllers_are_replaced_one_at_a_time_with_snapshots() {
    let mut quorum = Quorum::formed(5, |config| {
        config.snapshot_interval_entries = 40;
        config.snapshot_keep_entries = 5;
    });
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let load = Load::start(&quorum, &broker, NOBODY);
    eventually("a log that was cut", || (load.done() > 200).then_some(()));
    for at in 0..5 {
        wipe(&mut quorum, at);
        quorum.start(at);
        votes(&quorum, at);
        load.goes_on();
    }
    let (changes, longest) = load.stop(&quorum);
    println!("{changes} changes, the longest pause {} ms", longest.as_millis());
    quorum.converge();
    let image = quorum.node(quorum.active()).node().view().image();
    for (_, node) in quorum.running() {
        eventually("equal images", || (*node.node().view().image() == *image).then_some(()));
    }
}

#[test]
fn the_active_controller_is_killed_in_the_middle_of_a_join() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let load = Load::start(&quorum, &broker, NOBODY);
    // At different moments: before the learner is there, as it catches up, in the change of voters, after it.
    for delay_ms in [0, 300, 900, 1_050, 1_100, 1_200, 1_400] {
        let lost = quorum.passive();
        wipe(&mut quorum, lost);
        let active = quorum.active();
        quorum.start(lost);
        // Not a wait for a condition: the moment is what varies.
        std::thread::sleep(Duration::from_millis(delay_ms));
        quorum.kill(active);
        quorum.start(active);
        votes(&quorum, lost);
        let voters = quorum.node(quorum.active()).node().members().iter().filter(|member| member.voter).count();
        assert_eq!(voters, 3);
        load.goes_on();
    }
    load.stop(&quorum);
}

#[test]
fn a_majority_of_lost_disks_is_waited_for_and_nothing_new_is_formed() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let cluster = quorum.cluster_id();
    let kept = tempfile::tempdir().expect("a folder");
    // The initiator's own disk is among the lost ones: it is the worst one to lose.
    quorum.kill(0);
    quorum.kill(1);
    copy(&quorum.data_dir(1), kept.path());
    for at in 0..2 {
        std::fs::remove_dir_all(quorum.data_dir(at)).expect("an empty folder");
        quorum.start(at);
    }
    for at in 0..2 {
        eventually("the reason", || {
            let why = quorum.node(at).standing().waiting_for?;
            (why.contains("has no active controller") && why.contains("Controllers without a quorum")).then_some(())
        });
        assert!(!quorum.formation(at, None).formed);
        assert_eq!(quorum.formation(at, None).cluster_id, cluster.to_bytes(), "it is bound to the old cluster");
    }
    assert!(quorum.running().all(|(_, node)| !node.node().is_active()));
    for (probe, yes) in [("started", true), ("live", true), ("ready", false), ("safe-to-stop-next", false)] {
        assert_eq!(quorum.probe(0, probe), yes, "{probe}");
    }
    // One of the two disks is found again: the quorum is back, and takes the other in.
    quorum.kill(1);
    std::fs::remove_dir_all(quorum.data_dir(1)).expect("an empty folder");
    copy(kept.path(), &quorum.data_dir(1));
    quorum.start(1);
    votes(&quorum, 0);
    assert_eq!(quorum.cluster_id(), cluster);
    eventually("the answer to a roll", || quorum.probe(0, "safe-to-stop-next").then_some(()));
}

#[test]
fn a_lost_disk_that_comes_back_after_it_was_replaced_is_told_and_disturbs_nobody() {
    let mut quorum = Quorum::formed(3, same);
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    let lost = quorum.passive();
    let kept = tempfile::tempdir().expect("a folder");
    quorum.kill(lost);
    copy(&quorum.data_dir(lost), kept.path());
    std::fs::remove_dir_all(quorum.data_dir(lost)).expect("an empty folder");
    quorum.start(lost);
    votes(&quorum, lost);
    let newcomer = quorum.node(lost).node().id();
    let term = quorum.node(quorum.active()).node().role().borrow().term;
    // The old disk takes the newer one's place.
    wipe(&mut quorum, lost);
    copy(kept.path(), &quorum.data_dir(lost));
    let load = Load::start(&quorum, &broker, NOBODY);
    quorum.start(lost);
    let fatal = quorum.block_on(quorum.node(lost).failed());
    assert_eq!(fatal.number(), 16);
    let Fatal::Replaced { id, by, .. } = fatal else { panic!("{fatal}") };
    assert_eq!((id, by), (quorum.node(lost).node().id(), newcomer));
    load.goes_on();
    load.stop(&quorum);
    assert_eq!(quorum.node(quorum.active()).node().role().borrow().term, term, "the leadership was disturbed");
    // Emptied, as the message says, it takes part again.
    wipe(&mut quorum, lost);
    quorum.start(lost);
    votes(&quorum, lost);
}
