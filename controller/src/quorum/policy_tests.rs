//! One request after another, with what the active controller sees.

use super::{
    policy::{Asks, FORGET_AFTER, GONE_AFTER, MAX_LAG_ENTRIES, Step, abandoned, decide, left_over},
    seen::{Place, Policy, Seen},
};

const SILENT: u64 = 1_000;

fn place(id: u64, address: &str, voter: bool, heard_ms_ago: Option<u64>, matched: Option<u64>) -> Place {
    Place { id, address: address.to_owned(), voter, heard_ms_ago, silent_ms: heard_ms_ago, matched }
}

/// Heard so long ago, all of it while the active controller was active.
fn hear(seen: &mut Seen, index: usize, heard_ms_ago: Option<u64>) {
    let place = &mut seen.places[index];
    (place.heard_ms_ago, place.silent_ms) = (heard_ms_ago, heard_ms_ago);
}

/// Three voters; 1 is active, 3 has been silent since this leadership began.
fn seen() -> Seen {
    Seen {
        own_id: 1,
        active_ms: 5_000,
        last_log: 1_000,
        joint: false,
        places: vec![
            place(1, "a", true, Some(0), Some(1_000)),
            place(2, "b", true, Some(10), Some(1_000)),
            place(3, "c", true, None, Some(500)),
        ],
    }
}

fn with(mut seen: Seen, more: Place) -> Seen {
    seen.places.push(more);
    seen
}

fn ask(id: u64, address: &str) -> Asks {
    Asks { id, address: address.to_owned(), voted: false }
}

#[track_caller]
fn check(seen: &Seen, asks: &Asks, expected: &Step) {
    let peers = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(decide(seen, asks, &Policy { peers, silent_ms: SILENT }), *expected);
}

fn wait(seen: &Seen, asks: &Asks, part: &str) {
    let peers = ["a", "b", "c"].map(str::to_owned).to_vec();
    let step = decide(seen, asks, &Policy { peers, silent_ms: SILENT });
    assert!(matches!(&step, Step::Wait { why, .. } if why.contains(part)), "{step:?}");
}

#[test]
fn a_newcomer_at_a_silent_voters_address_becomes_a_learner_and_then_takes_its_place() {
    check(&seen(), &ask(9, "c"), &Step::AddLearner);
    let behind = 1_000 - MAX_LAG_ENTRIES - 1;
    wait(&with(seen(), place(9, "c", false, None, None)), &ask(9, "c"), "does not answer");
    wait(&with(seen(), place(9, "c", false, Some(5), Some(behind))), &ask(9, "c"), "not caught up");
    wait(&with(seen(), place(9, "c", false, Some(SILENT), Some(1_000))), &ask(9, "c"), "does not answer");
    let caught_up = with(seen(), place(9, "c", false, Some(5), Some(behind + 1)));
    check(&caught_up, &ask(9, "c"), &Step::Promote { instead_of: Some(3), forget: vec![] });
}

#[test]
fn a_voter_that_lives_or_may_live_is_not_replaced() {
    let mut alive = seen();
    hear(&mut alive, 2, Some(SILENT - 1));
    wait(&alive, &ask(9, "c"), "is alive");
    wait(&with(alive, place(9, "c", false, Some(5), Some(1_000))), &ask(9, "c"), "is alive");
    wait(&Seen { active_ms: SILENT - 1, ..seen() }, &ask(9, "c"), "too new");
    let mut quiet_self = seen();
    hear(&mut quiet_self, 0, None);
    wait(&quiet_self, &ask(9, "a"), "is alive");
}

#[test]
fn only_configured_addresses_are_places() {
    let peers = vec!["a".to_owned()];
    let step = decide(&seen(), &ask(9, "d"), &Policy { peers, silent_ms: SILENT });
    let Step::Unlisted { why, not_missed } = step else { panic!("{step:?}") };
    assert!(why.contains("d is not in 'peers'") && !not_missed, "a voter is silent, and may be waited for: {why}");
    let mut whole = seen();
    hear(&mut whole, 2, Some(10));
    let policy = Policy { peers: vec!["a".to_owned()], silent_ms: SILENT };
    assert!(matches!(decide(&whole, &ask(9, "d"), &policy), Step::Unlisted { not_missed: true, .. }));
}

#[test]
fn a_member_at_another_address_gets_that_written() {
    let moved = |id, voted| Asks { voted, ..ask(id, "d") };
    let policy = Policy { peers: ["a", "b", "d"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let from = |address: &str| Step::SetAddress { from: address.to_owned() };
    assert_eq!(decide(&seen(), &moved(3, true), &policy), from("c"));
    // A learner keeps its place as well, and so does one whose new address was another voter's.
    let learner = with(seen(), place(9, "e", false, Some(5), Some(1_000)));
    assert_eq!(decide(&learner, &moved(9, false), &policy), from("e"));
    assert_eq!(decide(&seen(), &Asks { voted: true, ..ask(3, "b") }, &policy), from("c"));
    // Not where it has no place, and one change at a time.
    let elsewhere = decide(&seen(), &Asks { voted: true, ..ask(3, "f") }, &policy);
    assert!(matches!(elsewhere, Step::Unlisted { .. }), "{elsewhere:?}");
    assert_eq!(decide(&Seen { joint: true, ..seen() }, &moved(3, true), &policy), Step::Finish);
}

#[test]
fn a_newcomer_at_a_new_address_takes_the_place_of_a_voter_that_is_gone_and_whose_address_left() {
    let policy = Policy { peers: ["a", "b", "d"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let newcomer = place(9, "d", false, Some(5), Some(1_000));
    let gone = GONE_AFTER * SILENT;
    assert_eq!(decide(&seen(), &ask(9, "d"), &policy), Step::AddLearner);
    let after = |active_ms, heard: Option<u64>| {
        let mut seen = with(Seen { active_ms, ..seen() }, newcomer.clone());
        hear(&mut seen, 2, heard);
        decide(&seen, &ask(9, "d"), &policy)
    };
    let replaced = Step::Promote { instead_of: Some(3), forget: vec![] };
    assert_eq!(after(gone, None), replaced);
    assert_eq!(after(10 * gone, Some(gone)), replaced);
    // Its disk may be on the way: nobody is added beside it, and nobody alive is replaced.
    for waits in [after(gone - 1, None), after(10 * gone, Some(gone - 1)), after(10 * gone, Some(5))] {
        assert!(matches!(&waits, Step::Wait { why, .. } if why.contains("3 at c")), "{waits:?}");
    }
    // The active controller itself is alive, whatever its address.
    let own = Policy { peers: ["b", "c", "d"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let mut seen = with(Seen { active_ms: 10 * gone, ..seen() }, newcomer);
    hear(&mut seen, 0, None);
    hear(&mut seen, 2, Some(5));
    let step = decide(&seen, &ask(9, "d"), &own);
    assert!(matches!(&step, Step::Wait { why, .. } if why.contains("1 at a")), "{step:?}");
}

#[test]
fn voters_that_are_gone_without_a_place_are_reported() {
    let policy = Policy { peers: ["a", "b"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let old = Seen { active_ms: GONE_AFTER * SILENT, ..seen() };
    let report = abandoned(&old, &policy).expect("a report");
    assert!(report.starts_with("1 of 3 voters are gone") && report.contains("3 at c"), "{report}");
    assert_eq!(abandoned(&seen(), &policy), None, "not yet");
    let listed = Policy { peers: ["a", "b", "c"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    assert_eq!(abandoned(&old, &listed), None);
    // One that is gone, and another that came to its address.
    let mut taken = old;
    taken.places[1].address = "c".to_owned();
    assert!(abandoned(&taken, &listed).is_some_and(|report| report.contains("3 at c")));
    taken.places.push(place(9, "b", false, Some(5), Some(1_000)));
    assert_eq!(decide(&taken, &ask(9, "b"), &listed), Step::Promote { instead_of: Some(3), forget: vec![] });
}

#[test]
fn one_newcomer_replaces_one_voter() {
    let policy = Policy { peers: ["a", "d", "e"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let mut two_gone = Seen { active_ms: 10 * GONE_AFTER * SILENT, ..seen() };
    two_gone.places.push(place(4, "x", true, Some(5), Some(1_000)));
    two_gone.places.push(place(5, "y", true, Some(5), Some(1_000)));
    hear(&mut two_gone, 1, None);
    let two_gone = with(two_gone, place(9, "d", false, Some(5), Some(1_000)));
    assert_eq!(decide(&two_gone, &ask(9, "d"), &policy), Step::Promote { instead_of: Some(2), forget: vec![] });
}

#[test]
fn learners_of_earlier_attempts_at_the_address_are_forgotten() {
    let seen = with(seen(), place(7, "c", false, None, Some(3)));
    let seen = with(seen, place(8, "b", false, None, Some(3)));
    let seen = with(seen, place(9, "c", false, Some(5), Some(1_000)));
    check(&seen, &ask(9, "c"), &Step::Promote { instead_of: Some(3), forget: vec![7] });
}

#[test]
fn half_a_change_is_finished_first() {
    let half = Seen { joint: true, ..with(seen(), place(9, "c", true, Some(5), Some(1_000))) };
    check(&half, &ask(9, "c"), &Step::Finish);
    check(&half, &ask(10, "b"), &Step::Finish);
}

#[test]
fn one_that_votes_votes_and_one_that_was_replaced_is_told() {
    check(&seen(), &Asks { voted: true, ..ask(3, "c") }, &Step::Votes);
    let mut after = seen();
    after.places[2] = place(9, "c", true, Some(5), Some(1_000));
    check(&after, &ask(9, "c"), &Step::Votes);
    check(&after, &Asks { voted: true, ..ask(3, "c") }, &Step::Removed { replaced_by: 9 });
    let half = Seen { joint: true, ..with(seen(), place(9, "c", true, Some(5), Some(1_000))) };
    check(&half, &Asks { voted: true, ..ask(3, "c") }, &Step::Finish);
}

#[test]
fn an_empty_place_of_a_longer_list_is_filled() {
    let peers = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let policy = Policy { peers, silent_ms: SILENT };
    assert_eq!(decide(&seen(), &ask(9, "d"), &policy), Step::AddLearner);
    let seen = with(seen(), place(9, "d", false, Some(5), Some(1_000)));
    assert_eq!(decide(&seen, &ask(9, "d"), &policy), Step::Promote { instead_of: None, forget: vec![] });
}

#[test]
fn a_silent_learner_beside_a_living_voter_is_forgotten_in_time() {
    let policy = Policy { peers: ["a", "b", "c"].map(str::to_owned).to_vec(), silent_ms: SILENT };
    let patience = FORGET_AFTER * SILENT;
    let old = Seen { active_ms: patience, ..with(seen(), place(9, "b", false, Some(patience), Some(3))) };
    assert_eq!(left_over(&old, &policy), [9]);
    assert!(left_over(&Seen { active_ms: patience - 1, ..old.clone() }, &policy).is_empty());
    assert!(left_over(&Seen { joint: true, ..old.clone() }, &policy).is_empty());
    let mut answers = old.clone();
    hear(&mut answers, 3, Some(patience - 1));
    assert!(left_over(&answers, &policy).is_empty());
    // The place's voter is gone as well: the learner may come back and take it.
    let beside_a_lost_one = Seen { active_ms: patience, ..with(seen(), place(9, "c", false, None, Some(3))) };
    assert!(left_over(&beside_a_lost_one, &policy).is_empty());
    // Nobody waits for one without a place.
    let without_a_place = Seen { active_ms: patience, ..with(seen(), place(9, "d", false, None, Some(3))) };
    assert_eq!(left_over(&without_a_place, &policy), [9]);
}
