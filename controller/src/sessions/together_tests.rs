//! Sessions that end together are fenced in one step; one that ends alone is fenced by its own deadline.

use holdfast_metadata::BrokerRegistration;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataIndex, Millis};

use super::{
    ConnectionId, Earlier, Ending, Event, Timeouts, Verdict,
    sessions_tests::{Check, Wanted, broker},
};

/// Broker `n` has the broker epoch and the first connection of the same number.
pub(super) fn registration(n: u32) -> BrokerRegistration {
    BrokerRegistration { broker_id: BrokerId(n), ..broker(n.into(), false) }
}

pub(super) fn fences(brokers: &[u32]) -> Vec<Wanted> {
    brokers.iter().map(|n| (BrokerId(*n), BrokerEpoch((*n).into()), Verdict::Fence)).collect()
}

/// As many brokers, all connected.
pub(super) fn connected(count: u32) -> Check {
    let mut check = Check::active((1..=count).map(registration).collect());
    for n in 1..=count {
        let (broker_id, broker_epoch, connection) = (BrokerId(n), BrokerEpoch(n.into()), ConnectionId(n.into()));
        check.step(u64::from(n), Event::Connected { broker_id, broker_epoch, connection }, &[]);
    }
    check
}

fn beat(check: &mut Check, now: u64, n: u32) {
    let (broker_id, connection) = (BrokerId(n), ConnectionId(n.into()));
    check.step(now, Event::Heartbeat { broker_id, connection, applied_index: MetadataIndex(10), ready: true }, &[]);
}

pub(super) fn lose(check: &mut Check, now: u64, n: u32) {
    let (broker_id, connection) = (BrokerId(n), ConnectionId(n.into()));
    check.step(now, Event::Disconnected { broker_id, connection, refused: false }, &[]);
}

#[test]
fn after_a_power_loss_of_all_the_first_deadline_fences_all() {
    let mut check = connected(3);
    beat(&mut check, 1_000, 2);
    beat(&mut check, 1_300, 1);
    beat(&mut check, 1_499, 3);
    check.step(3_999, Event::Tick, &[]);
    check.step(4_000, Event::Tick, &fences(&[2, 1, 3]));
    check.step(5_000, Event::Tick, &[]);
}

#[test]
fn one_that_is_dead_is_fenced_at_once_and_alone() {
    let mut check = connected(3);
    for now in [1_000, 2_000, 3_000, 3_900] {
        if now == 1_000 {
            beat(&mut check, now, 2);
        }
        beat(&mut check, now + 1, 1);
        beat(&mut check, now + 2, 3);
    }
    check.step(4_000, Event::Tick, &fences(&[2]));
    lose(&mut check, 4_001, 1);
    check.step(4_500, Event::Tick, &[]);
    check.step(4_501, Event::Tick, &fences(&[1]));
}

#[test]
fn who_was_silent_for_three_quarters_is_taken_along_and_who_was_heard_later_is_not() {
    for (heard, taken) in [(1_750, &[1, 2][..]), (1_751, &[1])] {
        let mut check = connected(2);
        beat(&mut check, 1_000, 1);
        beat(&mut check, heard, 2);
        check.step(4_000, Event::Tick, &fences(taken));
    }
}

#[test]
fn who_has_no_connection_any_more_goes_with_the_first_whose_grace_is_over() {
    let mut check = connected(4);
    lose(&mut check, 1_000, 3);
    lose(&mut check, 1_010, 1);
    let (broker_id, broker_epoch, connection) = (BrokerId(1), BrokerEpoch(1), ConnectionId(9));
    check.step(1_300, Event::Connected { broker_id, broker_epoch, connection }, &[]);
    lose(&mut check, 1_498, 2);
    check.step(1_499, Event::Tick, &[]);
    check.step(1_500, Event::Tick, &fences(&[3, 2]));
    check.step(1_900, Event::Tick, &[]);
}

#[test]
fn nobody_is_proposed_twice_and_each_is_proposed_again_if_it_came_to_nothing() {
    let mut check = connected(2);
    lose(&mut check, 1_000, 1);
    lose(&mut check, 1_100, 2);
    check.step(1_500, Event::Tick, &fences(&[1, 2]));
    check.step(1_600, Event::Tick, &[]);
    // The last one: that of broker 2.
    check.end(1_700, Ending::Refused);
    check.step(1_799, Event::Tick, &[]);
    check.step(1_800, Event::Tick, &fences(&[2]));
}

#[test]
fn one_that_starts_again_takes_those_along_that_were_lost_with_it() {
    let restarted = Event::Restarted(BrokerId(2));
    let mut check = connected(4);
    lose(&mut check, 1_000, 1);
    lose(&mut check, 1_100, 2);
    lose(&mut check, 1_140, 3);
    check.step(1_200, restarted.clone(), &fences(&[1, 2, 3]));
    check.step(1_201, restarted.clone(), &[]);
    assert_eq!(check.sessions.lease_ms(BrokerId(1), ConnectionId(1)), 0);
    // Alone it says all itself as it registers.
    let mut check = connected(3);
    lose(&mut check, 1_100, 2);
    check.step(1_150, restarted.clone(), &[]);
    assert_eq!(check.sessions.earlier(Millis(1_150), BrokerId(2), true), Earlier::Over);
    // Neither one that is back, nor by a controller that may not act.
    let mut check = connected(2);
    lose(&mut check, 1_000, 1);
    lose(&mut check, 1_000, 2);
    let (broker_id, broker_epoch, connection) = (BrokerId(1), BrokerEpoch(1), ConnectionId(9));
    check.step(1_050, Event::Connected { broker_id, broker_epoch, connection }, &[]);
    check.step(1_060, restarted.clone(), &[]);
    let mut check = connected(2);
    lose(&mut check, 1_000, 1);
    lose(&mut check, 1_000, 2);
    check.step(1_010, Event::Suspended, &[]);
    check.step(1_020, restarted, &[]);
}

#[test]
fn nearly_is_three_quarters_of_the_session_timeout() {
    let nearly = |session_ms| Timeouts { session_ms, disconnect_grace_ms: 500 }.nearly_ms();
    assert_eq!([nearly(3_000), nearly(200)], [2_250, 150]);
}
