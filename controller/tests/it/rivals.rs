//! Two operators let the controllers go on, each from another folder: one of the two ends, by name, and never both.

use std::{fs, thread};

use futures::FutureExt as _;

use holdfast_controller::{
    config::Config,
    exit::Fatal,
    recover::{Recover, recover},
    run,
};

use crate::{
    copies::ended,
    recover::{look, order},
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

/// Three controllers of one cluster, stopped.
fn stopped() -> Quorum {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    quorum
}

#[track_caller]
fn is_given_up(fatal: &Fatal, said: &str) {
    assert!(matches!(fatal, Fatal::GivenUp { .. }) && fatal.number() == 16, "{fatal}");
    let text = fatal.to_string();
    for part in [said, "--accept-older-store", "the whole data folder away, never a part of it"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// It serves alone, and goes on.
#[track_caller]
fn serves(quorum: &Quorum, at: usize) {
    let node = quorum.node(at).node();
    eventually("it is active", || node.is_active().then_some(()));
    assert_eq!((node.members().len(), quorum.node(at).failed().now_or_never()), (1, None));
}

#[test]
fn one_that_did_not_begin_yet_gives_way_to_the_one_that_serves() {
    let mut quorum = stopped();
    for at in [0, 1] {
        recover(&order(&quorum, at)).expect("it goes on alone");
    }
    let (serving, late) = (0, 1);
    quorum.start(serving);
    serves(&quorum, serving);
    let fatal = run(quorum.config(late)).err().expect("it does not start");
    is_given_up(&fatal, "goes on already, and not from this recovery");
    // Also where nobody is there any more.
    quorum.kill(serving);
    is_given_up(&run(quorum.config(late)).err().expect("it does not start again"), "goes on already");
    // If it is the right one after all, it is recovered once more, and counts for more.
    recover(&Recover { accept_older_store: true, ..order(&quorum, late) }).expect("it goes on alone");
    quorum.start(late);
    serves(&quorum, late);
    quorum.start(serving);
    let fatal = ended(&quorum, serving);
    assert!(matches!(fatal, Fatal::GivenUp { .. }), "{fatal}");
    quorum.kill(serving);
    for at in [serving, 2] {
        fs::remove_dir_all(quorum.data_dir(at)).expect("remove");
        quorum.start(at);
    }
    quorum.votes(&[0, 1, 2]);
}

/// The others were only away: it would end them, with all that they decided since.
#[test]
fn one_that_did_not_begin_yet_does_not_start_while_the_others_are_active_without_it() {
    let mut quorum = stopped();
    let (late, others) = (0, [1, 2]);
    recover(&order(&quorum, late)).expect("it goes on alone");
    for at in others {
        quorum.start(at);
    }
    let refused = |quorum: &Quorum| match run(quorum.config(late)).err().expect("it does not start") {
        Fatal::Failure(text) => text,
        other => panic!("{other}"),
    };
    // At once, also where they have no leader yet: they are a majority.
    let text = refused(&quorum);
    assert!(text.contains("knows nothing of") || text.contains("may be a majority"), "{text}");
    let active = quorum.node(quorum.active()).node().id();
    eventually("it sees who is active", || {
        let text = refused(&quorum);
        (text.contains(&format!("controller {active} is active")) && text.contains("an empty folder")).then_some(())
    });
    assert!(quorum.running().all(|(_, node)| node.failed().now_or_never().is_none()), "nobody is ended");
    // It is not for good.
    for at in others {
        quorum.kill(at);
    }
    quorum.start(late);
    serves(&quorum, late);
    for at in others {
        fs::remove_dir_all(quorum.data_dir(at)).expect("remove");
        quorum.start(at);
    }
    quorum.votes(&[0, 1, 2]);
}

/// One look may fall into a moment without a leader, or before the other one is there.
#[test]
fn the_first_start_sees_a_majority_that_comes_together_while_it_looks() {
    let mut quorum = stopped();
    let late = 0;
    recover(&order(&quorum, late)).expect("it goes on alone");
    quorum.start(1);
    // It looks for longer than this test takes, unless it sees them.
    let config = Config { election_timeout_min_ms: 30_000, election_timeout_max_ms: 60_000, ..quorum.config(late) };
    let first_start = thread::spawn(move || run(config).err());
    quorum.start(2);
    match first_start.join().expect("an end") {
        Some(Fatal::Failure(text)) => assert!(text.contains("scale the controllers to 0"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(quorum.running().all(|(_, node)| node.failed().now_or_never().is_none()), "nobody is ended");
}

/// It decides nothing by itself: all that it costs is the time of an election.
#[test]
fn one_that_holds_the_log_alone_only_delays_the_first_start() {
    let mut quorum = stopped();
    let (late, alone) = (0, 1);
    recover(&order(&quorum, late)).expect("it goes on alone");
    quorum.start(alone);
    quorum.start(late);
    serves(&quorum, late);
    let fatal = ended(&quorum, alone);
    assert!(matches!(fatal, Fatal::GivenUp { .. }), "{fatal}");
}

#[test]
fn of_two_that_both_decided_something_one_ends_where_they_meet() {
    let mut quorum = stopped();
    for at in [0, 1] {
        recover(&order(&quorum, at)).expect("it goes on alone");
        quorum.start(at);
        serves(&quorum, at);
        quorum.kill(at);
    }
    (0..2).for_each(|at| quorum.start(at));
    let at_last = |at: usize| {
        let image = quorum.node(at).node().view().image();
        image.controller_recoveries().last().map(|last| (last.index, last.controller_id))
    };
    let last = [0, 1].map(|at| eventually("its metadata is there", || at_last(at)));
    let (lower, higher) = if last[0] < last[1] { (0, 1) } else { (1, 0) };
    is_given_up(&ended(&quorum, lower), "This one goes on from another recovery");
    serves(&quorum, higher);
    quorum.kill(lower);
    let refused = run(quorum.config(lower)).err().expect("it does not start again");
    is_given_up(&refused, "This one goes on from another recovery");
    serves(&quorum, higher);
}

#[test]
fn nothing_is_given_up_while_somebody_is_active_or_a_majority_is_there() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let at = quorum.passive();
    let others: Vec<usize> = (0..3).filter(|other| *other != at).collect();
    let refused = |quorum: &Quorum, order: &Recover| match recover(order).expect_err("it is refused") {
        Fatal::Failure(text) => {
            assert!(text.contains("othing was changed"), "{text}");
            assert!(quorum.running().all(|(_, node)| node.failed().now_or_never().is_none()));
            text
        }
        other => panic!("{other}"),
    };
    quorum.kill(at);
    let active = format!("controller {} is active", quorum.node(quorum.active()).node().id());
    assert!(refused(&quorum, &order(&quorum, at)).contains(&active));
    recover(&look(&quorum, at)).expect("a look is allowed");
    // With this one the other is a majority.
    quorum.kill(others[0]);
    eventually("nobody is active", || (!quorum.node(others[1]).node().is_active()).then_some(()));
    let text = eventually("it says so", || {
        let text = refused(&quorum, &order(&quorum, at));
        text.contains("are a majority").then_some(text)
    });
    assert!(text.contains("Start this one") && text.contains(&quorum.addresses[others[1]]), "{text}");
    // Nobody else is there; or the operator has his reasons.
    let against = Recover { against_majority: true, ..order(&quorum, at) };
    recover(&against).expect("it goes on alone");
    // One that goes on by a recovery that a folder does not know is named.
    quorum.kill(others[1]);
    quorum.start(at);
    serves(&quorum, at);
    let text = refused(&quorum, &order(&quorum, others[0]));
    assert!(text.contains("is active by a recovery that this folder does not know"), "{text}");
}
