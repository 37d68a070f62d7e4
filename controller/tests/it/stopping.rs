//! Stopping in order, also where there is nobody to hand over to; and the probe that a roll waits for.

use std::time::{Duration, Instant};

use holdfast_controller::config::Config;

use crate::support::{Quorum, eventually};

fn same(_: &mut Config) {}

/// Far below any grace period.
const SOON: Duration = Duration::from_secs(6);

#[test]
fn a_leader_without_a_majority_stops_within_seconds() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let active = quorum.active();
    for at in (0..3).filter(|at| *at != active) {
        quorum.kill(at);
    }
    let at = Instant::now();
    quorum.stop(active);
    println!("a leader that had just lost its majority stopped in {} ms", at.elapsed().as_millis());
    assert!(at.elapsed() < SOON, "{:?}", at.elapsed());
}

#[test]
fn a_controller_of_a_lost_quorum_and_one_of_no_cluster_stop_within_seconds() {
    let mut quorum = Quorum::formed(3, same);
    let stays = quorum.passive();
    for at in (0..3).filter(|at| *at != stays) {
        quorum.kill(at);
    }
    eventually("the leader to be missed", || quorum.node(stays).node().present_leader().is_none().then_some(()));
    let at = Instant::now();
    quorum.stop(stays);
    assert!(at.elapsed() < SOON, "{:?}", at.elapsed());

    let mut unformed = Quorum::new(3, same);
    unformed.start(1);
    let at = Instant::now();
    unformed.stop(1);
    assert!(at.elapsed() < SOON, "{:?}", at.elapsed());
}

#[test]
fn a_quorum_that_is_gone_does_not_block_the_roll_that_repairs_it() {
    let mut quorum = Quorum::formed(3, same);
    eventually("the answer to a roll", || quorum.probe(0, "safe-to-stop-next").then_some(()));
    quorum.kill(1);
    quorum.kill(2);
    let at = Instant::now();
    eventually("the leader to be missed", || (!quorum.probe(0, "safe-to-stop-next")).then_some(()));
    assert!(quorum.probe(0, "live"), "a lost quorum kills nobody");
    // Where the others ran, connections are refused: nobody can lead, and half a minute later this is found.
    let patience = Duration::from_mins(1);
    while !quorum.probe(0, "safe-to-stop-next") {
        assert!(at.elapsed() < patience, "the roll is blocked");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(at.elapsed() > Duration::from_millis(holdfast_controller::health::LEADERLESS_MS));
    assert!(quorum.probe(0, "live") && !quorum.probe(0, "ready"));
    // Repaired, it serves and answers as before.
    quorum.start(1);
    quorum.active();
    eventually("both to be safe", || {
        (quorum.probe(0, "safe-to-stop-next") && quorum.probe(1, "safe-to-stop-next")).then_some(())
    });
}
