//! One sight after another.

use super::*;

/// A follower of three that has everything.
fn follower() -> Sight {
    Sight {
        formed: true,
        voter: true,
        leader_heard_ms: Some(20),
        applied: 1_000,
        committed: Some(1_000),
        leaderless_ms: 0,
        controllers: 3,
        others_without_leader: 0,
        not_missed: false,
    }
}

#[track_caller]
fn check(sight: &Sight, ready: bool, unsafe_because: Option<&str>) {
    assert_eq!(is_ready(sight), ready, "{sight:?}");
    match (unsafe_to_stop(sight), unsafe_because) {
        (None, None) => {}
        (Some(why), Some(part)) if why.contains(part) => {}
        (why, expected) => panic!("{why:?}, expected {expected:?}: {sight:?}"),
    }
}

#[test]
fn a_roll_waits_for_a_voter_that_has_everything() {
    check(&follower(), true, None);
    check(&Sight { leader_heard_ms: Some(READY_MS - 1), ..follower() }, true, None);
    check(&Sight { applied: 1_000 - MAX_LAG_ENTRIES, ..follower() }, true, None);
    check(&Sight { applied: 1_000 - MAX_LAG_ENTRIES - 1, ..follower() }, true, Some("lacks 65 entries"));
    check(&Sight { committed: None, ..follower() }, true, Some("not known"));
}

#[test]
fn an_empty_disk_holds_the_roll_until_it_votes() {
    let blank = Sight { formed: false, voter: false, leader_heard_ms: None, applied: 0, committed: None, ..follower() };
    check(&blank, false, Some("no active controller"));
    check(&Sight { voter: false, ..follower() }, true, Some("does not vote"));
}

#[test]
fn one_that_has_no_place_yet_does_not_hold_up_the_roll_that_makes_it() {
    let extra = Sight { formed: false, voter: false, leader_heard_ms: None, committed: None, ..follower() };
    check(&extra, false, Some("no active controller"));
    check(&Sight { not_missed: true, ..extra }, false, None);
    // What votes by its own log is judged as a voter.
    check(&Sight { not_missed: true, applied: 0, ..follower() }, true, Some("lacks"));
}

#[test]
fn a_controller_that_reaches_nobody_stops_the_roll_for_ever() {
    let alone = Sight { leader_heard_ms: None, leaderless_ms: 10 * LEADERLESS_MS, ..follower() };
    check(&alone, false, Some("1 of 3"));
    check(&Sight { controllers: 5, others_without_leader: 1, ..alone.clone() }, false, Some("2 of 5"));
    check(&Sight { controllers: 5, others_without_leader: 2, ..alone }, false, None);
}

#[test]
fn a_quorum_that_cannot_be_does_not_block_its_repair() {
    let lost = Sight { leader_heard_ms: Some(LEADERLESS_MS), leaderless_ms: LEADERLESS_MS, ..follower() };
    check(&Sight { others_without_leader: 1, ..lost.clone() }, false, None);
    check(&Sight { others_without_leader: 1, leaderless_ms: LEADERLESS_MS - 1, ..lost.clone() }, false, Some("29 s"));
    // The same before any cluster was formed, and for one controller.
    let cold = Sight { formed: false, voter: false, leader_heard_ms: None, others_without_leader: 2, ..lost.clone() };
    check(&cold, false, None);
    check(&Sight { controllers: 1, ..lost }, false, None);
}
