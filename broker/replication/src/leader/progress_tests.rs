//! Progress and lag of a follower.

use holdfast_proto::ids::LeaderEpoch;

use super::*;

const LAG: u64 = 100;
const ACK: FlushPolicy = FlushPolicy::Ack;

fn position(fetch_offset: u64, flushed_offset: u64) -> FetchPosition {
    FetchPosition {
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(3),
        fetch_offset: Offset(fetch_offset),
        flushed_offset: Offset(flushed_offset),
        last_fetched_epoch: Some(LeaderEpoch(1)),
        log_start_offset: Some(Offset(0)),
        wants_records: true,
    }
}

/// At a leader that knows the state of [`position`].
fn follower(in_isr: bool, now: u64) -> FollowerProgress {
    FollowerProgress::new(BrokerId(2), in_isr, PartitionEpoch(3), Millis(now))
}

fn heard(progress: &mut FollowerProgress, fetch: u64, flushed: u64, leader_end: u64, now: u64) {
    progress.observe(&position(fetch, flushed));
    progress.note_lag(ACK, Offset(leader_end), Millis(now));
}

fn caught_up(progress: &FollowerProgress, leader_end: u64, now: u64) -> bool {
    progress.is_caught_up(ACK, Offset(leader_end), LAG, Millis(now))
}

#[test]
fn a_member_has_the_lag_time_to_show_itself_and_a_stranger_has_not() {
    let member = follower(true, 1_000);
    assert!(caught_up(&member, 10, 1_100));
    assert!(!caught_up(&member, 10, 1_101));
    assert!(!caught_up(&follower(false, 1_000), 10, 1_000));
}

#[test]
fn at_the_log_end_it_never_lags_and_an_append_starts_its_time() {
    let mut progress = follower(true, 0);
    heard(&mut progress, 10, 10, 10, 5);
    assert!(caught_up(&progress, 10, 1_000_000));
    progress.before_append(ACK, Offset(10), Millis(1_000_000));
    assert!(caught_up(&progress, 11, 1_000_100));
    assert!(!caught_up(&progress, 11, 1_000_101));
}

#[test]
fn a_flushed_end_that_trails_several_reports_is_caught_up_under_steady_load() {
    let mut progress = follower(true, 0);
    for step in 0..200_u64 {
        let leader_end = 100 + 10 * step;
        // Its log end trails by 10 records, its flushed end by 50, that is five reports.
        heard(&mut progress, leader_end - 10, leader_end - 50, leader_end, 10 * step);
        assert!(caught_up(&progress, leader_end, 10 * step), "step {step}");
    }
}

#[test]
fn one_that_falls_ever_further_behind_lags() {
    let mut progress = follower(true, 0);
    let lags = (0..100_u64).any(|step| {
        heard(&mut progress, 100 + step, 100 + step, 100 + 10 * step, 10 * step);
        !caught_up(&progress, 100 + 10 * step, 10 * step)
    });
    assert!(lags);
}

#[test]
fn reports_out_of_order_do_not_take_it_back_and_a_restart_does() {
    let mut progress = follower(true, 0);
    assert!(progress.admit(BrokerEpoch(7)));
    progress.observe(&position(10, 8));
    progress.observe(&position(9, 5));
    assert_eq!(progress.counted_end(ACK), Some(Offset(8)));
    assert_eq!(progress.counted_end(FlushPolicy::Interval), Some(Offset(10)));
    assert!(!progress.admit(BrokerEpoch(6)));
    assert!(progress.admit(BrokerEpoch(8)));
    assert_eq!(progress.counted_end(ACK), None);
}

#[test]
fn a_durable_end_past_the_log_end_counts_only_to_the_log_end() {
    let mut progress = follower(true, 0);
    progress.observe(&position(10, 50));
    assert_eq!(progress.counted_end(ACK), Some(Offset(10)));
}

fn position_under(state: u32, fetch: u64) -> FetchPosition {
    FetchPosition { partition_epoch: PartitionEpoch(state), ..position(fetch, fetch) }
}

#[test]
fn what_it_told_under_a_state_before_its_leader_knew_that_state_counts() {
    let mut progress = follower(false, 0);
    progress.state_changed(PartitionEpoch(4), false);
    progress.observe(&position_under(4, 10));
    // It was taken away and given back, empty; its leader has not heard of either.
    progress.observe(&position_under(6, 3));
    assert_eq!(progress.counted_end(ACK), Some(Offset(10)), "a state that has ended: no proposal from it is accepted");
    progress.state_changed(PartitionEpoch(5), false);
    assert_eq!(progress.counted_end(ACK), None, "its leader does not know that state yet");
    // What was on its way all that time says nothing.
    progress.observe(&position_under(4, 10));
    progress.state_changed(PartitionEpoch(6), false);
    assert_eq!(progress.counted_end(ACK), Some(Offset(3)));
    progress.observe(&position_under(6, 5));
    assert_eq!(progress.counted_end(ACK), Some(Offset(5)));
    progress.state_changed(PartitionEpoch(7), false);
    assert_eq!(progress.counted_end(ACK), None, "it has to tell its position again");
}

/// It started again and is out of the ISR, as its leader does not know yet: what it said of its log then is what counts in
/// an election, so what it copied since must not be acknowledged by.
#[test]
fn a_member_that_knows_a_later_state_than_its_leader_counts_once_the_leader_knows_it() {
    let mut progress = follower(true, 0);
    assert!(progress.admit(BrokerEpoch(7)));
    progress.observe(&position_under(3, 4));
    assert!(progress.admit(BrokerEpoch(8)));
    progress.observe(&position_under(4, 10));
    assert_eq!(progress.counted_end(ACK), None);
    progress.state_changed(PartitionEpoch(4), false);
    assert_eq!(progress.counted_end(ACK), Some(Offset(10)));
    progress.observe(&position_under(5, 12));
    assert_eq!(progress.counted_end(ACK), Some(Offset(10)));
    progress.state_changed(PartitionEpoch(5), true);
    assert_eq!(progress.counted_end(ACK), Some(Offset(12)));
}

#[test]
fn one_that_left_the_leaders_log_has_told_nothing() {
    let mut progress = follower(true, 0);
    progress.observe(&position_under(4, 10));
    progress.diverged();
    progress.state_changed(PartitionEpoch(4), true);
    assert_eq!(progress.counted_end(ACK), None);
}
