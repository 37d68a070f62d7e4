//! One removal after another, with what the active controller sees.

use super::{
    removal::{Plan, Refusal, plan_removal},
    seen::{Place, Policy, Seen},
};

const SILENT: u64 = 1_000;

/// So many voters, from 1 on, of which the first is active and these are silent. All are in `peers` but the named ones.
fn seen(voters: u64, silent: &[u64], left_peers: &[u64]) -> (Seen, Policy) {
    let places = (1..=voters).map(|id| Place {
        id,
        address: format!("c{id}"),
        voter: true,
        heard_ms_ago: (!silent.contains(&id)).then_some(10),
        silent_ms: (!silent.contains(&id)).then_some(10),
        matched: Some(100),
    });
    let peers = (1..=voters).filter(|id| !left_peers.contains(id)).map(|id| format!("c{id}"));
    let policy = Policy { peers: peers.collect(), silent_ms: SILENT };
    (Seen { own_id: 1, active_ms: 60_000, last_log: 100, joint: false, places: places.collect() }, policy)
}

fn plan((seen, policy): &(Seen, Policy), id: u64) -> Result<Plan, Refusal> {
    plan_removal(seen, id, policy)
}

#[track_caller]
fn goes(of: &(Seen, Policy), id: u64, (before, after, alive): (usize, usize, usize)) {
    let plan = plan(of, id).expect("a plan");
    assert_eq!((plan.voters_before, plan.voters_after, plan.alive_after), (before, after, alive));
    assert_eq!((plan.place.id, plan.hands_over), (id, id == 1));
}

#[track_caller]
fn refused(of: &(Seen, Policy), id: u64, part: &str) {
    let refusal = plan(of, id);
    assert!(matches!(&refusal, Err(Refusal::Refused(why)) if why.contains(part)), "{refusal:?}");
}

#[track_caller]
fn not_yet(of: &(Seen, Policy), id: u64, part: &str) {
    let refusal = plan(of, id);
    assert!(matches!(&refusal, Err(Refusal::NotYet(why)) if why.contains(part)), "{refusal:?}");
}

#[test]
fn a_silent_voter_goes_and_the_others_decide_on() {
    goes(&seen(3, &[3], &[]), 3, (3, 2, 2));
    goes(&seen(4, &[4], &[]), 4, (4, 3, 3));
    goes(&seen(5, &[4, 5], &[4, 5]), 5, (5, 4, 3));
}

#[test]
fn a_living_one_goes_only_once_it_has_no_place_in_peers() {
    refused(&seen(5, &[], &[]), 5, "join again at once");
    goes(&seen(5, &[], &[4, 5]), 5, (5, 4, 4));
}

#[test]
fn a_majority_of_those_that_stay_has_to_be_alive() {
    refused(&seen(5, &[4, 5], &[3]), 3, "of the 4 voters that would stay, 2 were heard a moment ago and 3 have to be");
    refused(&seen(3, &[2], &[3]), 3, "of the 2 voters that would stay, 1 were heard");
    refused(&seen(1, &[], &[]), 1, "of the 0 voters");
}

#[test]
fn the_active_one_hands_over_and_decides_nothing_more() {
    goes(&seen(3, &[], &[]), 1, (3, 2, 2));
}

#[test]
fn what_is_not_known_yet_is_waited_for() {
    let (mut young, policy) = seen(3, &[3], &[]);
    young.active_ms = SILENT - 1;
    not_yet(&(young, policy), 3, "too new");
    // Voter 3 has not spoken to this leader yet: it may be there.
    let (mut young, policy) = seen(3, &[3], &[2]);
    young.active_ms = SILENT - 1;
    not_yet(&(young, policy), 2, "1 of the voters that would stay");
    let (mut half, policy) = seen(3, &[3], &[]);
    half.joint = true;
    not_yet(&(half, policy), 3, "under way");
}

#[test]
fn learners_go_as_well_and_strangers_are_named() {
    let (mut with_learner, policy) = seen(3, &[], &[]);
    let learner =
        Place { id: 9, address: "c9".to_owned(), voter: false, heard_ms_ago: None, silent_ms: None, matched: None };
    with_learner.places.push(learner);
    goes(&(with_learner, policy), 9, (3, 3, 3));
    refused(&seen(3, &[], &[]), 7, "known: 1, 2, 3");
}

#[test]
fn one_that_was_not_heard_since_this_controller_stood_still_is_neither_there_nor_gone() {
    let (mut seen, policy) = seen(3, &[], &[2]);
    let dead = &mut seen.places[2];
    // A minute ago, of which this controller was active for less than a second.
    (dead.heard_ms_ago, dead.silent_ms) = (Some(60_000), Some(700));
    assert!(!seen.is_alive(&seen.places[2], &policy));
    assert!(matches!(plan_removal(&seen, 2, &policy), Err(Refusal::NotYet(_))));
}
