//! Three controllers become five and three again, while changes go on.

use holdfast_controller::{config::Config, exit::Fatal};

use crate::{
    broker::{Broker, Disk},
    load::Load,
    removal::remove,
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

const THREE: [usize; 3] = [0, 1, 2];
const FIVE: [usize; 5] = [0, 1, 2, 3, 4];

/// Three controllers of five that will be, with what they know of the others.
fn three() -> Quorum {
    let mut quorum = Quorum::new(5, same);
    for at in THREE {
        quorum.list(at, &THREE);
        quorum.start(at);
    }
    quorum.converge();
    quorum
}

/// Restarts the first three, one after another, each once the one before lets the next be stopped.
fn roll(quorum: &mut Quorum, peers: &[usize], load: &Load) {
    for at in THREE.into_iter().rev() {
        quorum.list(at, peers);
        quorum.restart(at);
        eventually("the answer to a roll", || quorum.probe(at, "safe-to-stop-next"));
        load.goes_on();
    }
}

fn grow(quorum: &mut Quorum, load: &Load) {
    quorum.start(3);
    quorum.start(4);
    // As a StatefulSet does: the new ones come first, and have to let the others be stopped.
    for at in [3, 4] {
        eventually("the newcomers not to hold up the roll", || quorum.probe(at, "safe-to-stop-next"));
        assert!(quorum.node(at).standing().not_missed);
        assert!(!quorum.probe(at, "ready"));
    }
    load.goes_on();
    roll(quorum, &FIVE, load);
    quorum.votes(&FIVE);
    for at in FIVE {
        eventually("the answer to a roll", || quorum.probe(at, "safe-to-stop-next"));
    }
    load.goes_on();
}

#[test]
fn three_become_five_and_three_again_those_that_leave_being_stopped_first() {
    let mut quorum = three();
    let cluster = quorum.cluster_id();
    let broker = Broker::start(&quorum, Disk::new(1));
    let load = Load::start(&quorum, &broker, usize::MAX);
    grow(&mut quorum, &load);
    for (leaves, stay) in [(4, &FIVE[..4]), (3, &THREE[..])] {
        let id = quorum.node(leaves).node().id();
        quorum.stop(leaves);
        let done = remove(&quorum, id);
        assert_eq!(done.voters_after as usize, stay.len());
        quorum.votes(stay);
        load.goes_on();
    }
    roll(&mut quorum, &THREE, &load);
    quorum.votes(&THREE);
    load.goes_on();
    // Each two of the three decide.
    let active = quorum.active();
    quorum.kill(active);
    load.goes_on();
    quorum.start(active);
    let (changes, longest) = load.stop(&quorum);
    println!("{changes} changes, the longest pause {} ms", longest.as_millis());
    assert_eq!(quorum.cluster_id(), cluster);
    quorum.converge();
}

#[test]
fn those_that_leave_end_by_themselves_if_they_run() {
    let mut quorum = three();
    let broker = Broker::start(&quorum, Disk::new(1));
    let load = Load::start(&quorum, &broker, usize::MAX);
    grow(&mut quorum, &load);
    roll(&mut quorum, &THREE, &load);
    while quorum.active() > 2 {
        let active = quorum.active();
        quorum.restart(active);
    }
    for leaves in [4, 3] {
        let id = quorum.node(leaves).node().id();
        remove(&quorum, id);
        let fatal = quorum.block_on(quorum.node(leaves).failed());
        assert!(matches!(fatal, Fatal::Removed { .. }), "{fatal}");
        quorum.kill(leaves);
        load.goes_on();
    }
    quorum.votes(&THREE);
    load.goes_on();
    load.stop(&quorum);
}
