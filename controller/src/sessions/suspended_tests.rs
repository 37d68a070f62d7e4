//! A controller that leads on and may not act: it lost its lease in the same term, or hands over and keeps what it has.

use holdfast_proto::ids::MetadataIndex;

use super::{
    ConnectionId, Ending, Event, RETRY_MS,
    sessions_tests::{B1, Check, broker, fence, unfence},
};

#[test]
fn a_lease_that_was_lost_in_the_same_term_fences_nobody() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.beat(1_000, 1, 10, true, &[]);
    check.step(1_500, Event::Suspended, &[]);
    // Its heartbeat is refused, which ends the stream, and it is not let in again.
    check.step(1_600, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step(9_000, Event::Tick, &[]);
    check.step(9_001, Event::Resumed, &[]);
    check.step(12_000, Event::Tick, &[]);
    check.step(12_001, Event::Tick, &[fence(1)]);
}

#[test]
fn a_hand_over_that_was_kept_leaves_the_brokers_the_time_to_come_back() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(1_000, Event::Suspended, &[]);
    check.step(1_010, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    // As long as the grace: what is due in the step in which it goes on is due no more.
    check.step(1_510, Event::Resumed, &[]);
    check.step(2_500, Event::Tick, &[]);
    check.connect(2_600, 2);
    check.beat(2_610, 2, 10, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(2)), 3_000);
    check.step(2_700, Event::Disconnected { broker_id: B1, connection: ConnectionId(2), refused: false }, &[]);
    check.step(3_200, Event::Tick, &[fence(1)]);
}

#[test]
fn a_lease_that_is_lost_again_and_again_keeps_no_dead_broker() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    // Every half second for a moment: of all that the first one gives a full timeout, the others what they last.
    for now in (500..4_000).step_by(500) {
        check.step(now, Event::Suspended, &[]);
        check.step(now + 10, Event::Resumed, &[]);
    }
    check.step(510 + 3_000 + 6 * 10 - 1, Event::Tick, &[]);
    check.step(510 + 3_000 + 6 * 10, Event::Tick, &[fence(1)]);
}

#[test]
fn a_connection_that_this_controller_refused_says_nothing_of_the_broker() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(1_000, Event::Resumed, &[]);
    check.step(1_001, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: true }, &[]);
    check.step(3_999, Event::Tick, &[]);
    check.step(4_001, Event::Tick, &[fence(1)]);
}

#[test]
fn a_gap_that_nobody_told_of_gives_a_full_timeout_as_well() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(1_000, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step(1_400, Event::Resumed, &[]);
    check.step(4_399, Event::Tick, &[]);
    check.step(4_400, Event::Tick, &[fence(1)]);
}

#[test]
fn while_suspended_nothing_is_decided_and_no_lease_given() {
    let mut check = Check::active(vec![broker(1, true)]);
    check.connect(100, 1);
    check.step(200, Event::Suspended, &[]);
    assert!(check.sessions.is_active() && !check.sessions.decides());
    check.beat(300, 1, 10, true, &[]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(1)), 0);
    // It starts over from the registrations meanwhile, and is suspended still.
    check.step(400, Event::Activated { brokers: vec![broker(1, true)], index: MetadataIndex(10), term: 1 }, &[]);
    check.step(5_000, Event::Tick, &[]);
    check.step(5_001, Event::Resumed, &[unfence(1)]);
    assert_eq!(check.sessions.lease_ms(B1, ConnectionId(1)), 3_000);
    assert!(check.sessions.is_alive(holdfast_proto::ids::Millis(5_002), B1, true));
}

#[test]
fn a_fencing_that_came_to_nothing_is_not_made_again_before_it_goes_on() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(3_100, Event::Tick, &[fence(1)]);
    check.step(3_110, Event::Suspended, &[]);
    check.end(3_120, Ending::Doubtful);
    check.step(3_120 + 10 * RETRY_MS, Event::Tick, &[]);
    // It may be logged: then the broker is not waited for.
    check.step(5_000, Event::Resumed, &[fence(1)]);
}

#[test]
fn one_that_is_active_before_it_holds_its_lease_gives_a_full_timeout_once_it_does() {
    let mut check = Check::active(vec![]);
    check.step(10, Event::Deposed, &[]);
    check.step(20, Event::Suspended, &[]);
    check.step(30, Event::Activated { brokers: vec![broker(1, false)], index: MetadataIndex(9), term: 2 }, &[]);
    check.step(9_000, Event::Tick, &[]);
    check.step(9_100, Event::Resumed, &[]);
    check.step(12_099, Event::Tick, &[]);
    check.step(12_100, Event::Tick, &[fence(1)]);
}

#[test]
fn after_each_long_gap_there_is_time_to_be_heard() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(1_000, Event::Suspended, &[]);
    check.step(5_000, Event::Resumed, &[]);
    check.step(5_400, Event::Suspended, &[]);
    check.step(9_000, Event::Resumed, &[]);
    // A timeout from the first end, and half of one of the second gap.
    check.step(9_499, Event::Tick, &[]);
    check.step(9_500, Event::Tick, &[fence(1)]);
}

#[test]
fn a_controller_that_stood_still_gives_who_was_cut_off_before_a_full_timeout() {
    let mut check = Check::active(vec![broker(1, false)]);
    check.connect(100, 1);
    check.step(200, Event::Disconnected { broker_id: B1, connection: ConnectionId(1), refused: false }, &[]);
    check.step_after_nothing(10_200, Event::Resumed, &[]);
    check.step(13_199, Event::Tick, &[]);
    check.step(13_200, Event::Tick, &[fence(1)]);
}
