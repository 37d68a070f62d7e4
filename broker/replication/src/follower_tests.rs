//! Rules of the follower: state and exact effects.

use holdfast_proto::error::ErrorCode;

use super::*;
use crate::{
    Event, LogGeneration, ProducerTable,
    bench::{Bench, assignment, beginning, high_watermark, placed, position, records, send_fetch, under},
};

fn diverging(leader_epoch: u32, end_offset: u64) -> FetchOutcome {
    FetchOutcome::Diverging { leader_epoch: LeaderEpoch(leader_epoch), end_offset: Offset(end_offset) }
}

fn truncated(bench: &mut Bench, generation: u64) -> Vec<Effect> {
    bench.step(Event::Truncated { generation: LogGeneration(generation), producers: ProducerTable::new() })
}

fn appended(end_offset: u64) -> Effect {
    Effect::AppendFetched { end_offset: Offset(end_offset), generation: LogGeneration(0) }
}

fn cut(to: u64, generation: u64) -> Effect {
    Effect::Truncate { to: Offset(to), generation: LogGeneration(generation) }
}

#[test]
fn it_fetches_at_once_and_again_as_soon_as_it_has_appended() {
    let mut bench = Bench::with_log(&[(4, 2)], 0);
    let effects = bench.step(Event::AssignmentChanged(assignment(2, 5, 10, &[1, 2, 3])));
    assert_eq!(effects, [Effect::RoleChanged, send_fetch(position(5, 2, 2, 4, true))]);
    let effects = bench.answer(records(&[placed(2, 4, 1), placed(3, 5, 2)], 1, 0));
    assert_eq!(effects, [appended(5), high_watermark(1), send_fetch(position(5, 5, 2, 5, true))]);
}

#[test]
fn it_tells_its_durable_end_while_a_fetch_is_out() {
    let mut bench = Bench::following(&[], 0);
    bench.answer(records(&[placed(0, 5, 2)], 0, 0));
    assert_eq!(bench.flushed(0, 2), [send_fetch(position(5, 2, 2, 5, false))]);
    assert_eq!(bench.flushed(0, 2), [], "once");
    bench.answer(FetchOutcome::Failed(ErrorCode::RequestTimedOut));
    let effects = bench.answer(records(&[], 2, 0));
    assert_eq!(effects, [], "nothing is asked");
}

#[test]
fn the_high_watermark_waits_for_the_own_durable_end() {
    let mut bench = Bench::following(&[], 0);
    let effects = bench.answer(records(&[placed(0, 5, 4)], 3, 0));
    assert_eq!(effects, [appended(4), send_fetch(position(5, 4, 0, 5, true))]);
    let effects = bench.flushed(0, 2);
    assert_eq!(effects, [high_watermark(2), send_fetch(position(5, 4, 2, 5, false))]);
    let effects = bench.flushed(0, 4);
    assert_eq!(effects, [high_watermark(3), send_fetch(position(5, 4, 4, 5, false))]);
    assert_eq!(bench.answer(records(&[], 4, 0)), [high_watermark(4), send_fetch(position(5, 4, 4, 5, true))]);
}

#[test]
fn a_common_epoch_is_cut_where_the_leader_ends_it() {
    let mut bench = Bench::following(&[(1, 2), (3, 4)], 1);
    assert_eq!(bench.answer(diverging(3, 4)), [cut(4, 1)]);
    assert_eq!((bench.replica.log_end(), bench.replica.flushed_end()), (Offset(4), Offset(4)));
    assert_eq!(bench.at(5_000), [], "nothing is told while the disk cuts");
    assert_eq!(truncated(&mut bench, 0), [], "another truncation's end");
    assert_eq!(truncated(&mut bench, 1), [send_fetch(position(5, 4, 4, 3, true))]);
}

#[test]
fn an_epoch_that_only_the_leader_knows_is_cut_at_our_next_older_one() {
    let mut bench = Bench::following(&[(1, 2), (3, 4)], 1);
    assert_eq!(bench.answer(diverging(2, 9)), [cut(2, 1)], "our epoch 1 ends there; the leader is asked again");
    assert_eq!(truncated(&mut bench, 1), [send_fetch(position(5, 2, 2, 1, true))]);
    assert_eq!(bench.answer(diverging(1, 1)), [cut(1, 2)]);
    assert_eq!(truncated(&mut bench, 2), [send_fetch(position(5, 1, 1, 1, true))]);
    // The leader's end of an epoch that we do not have may lie inside one of our batches.
    let mut bench = Bench::following(&[(1, 2), (3, 4)], 1);
    assert_eq!(bench.answer(diverging(2, 1)), [cut(2, 1)]);
}

#[test]
fn another_state_of_the_leadership_is_answered_with_the_position_while_outside_the_isr() {
    let mut bench = Bench::following(&[(1, 2)], 0);
    let told = send_fetch(under(11, position(5, 2, 2, 1, false)));
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(2, 5, 11, &[2, 3]))), [told]);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(2, 5, 12, &[1, 2, 3]))), [], "a member is counted on");
}

#[test]
fn a_flush_of_what_was_cut_says_nothing() {
    let mut bench = Bench::following(&[(1, 1)], 0);
    bench.answer(records(&[placed(1, 1, 3)], 0, 0));
    bench.step(Event::AssignmentChanged(assignment(2, 6, 11, &[1, 2])));
    let outcome = diverging(1, 2);
    let effects = bench.step(Event::FetchResponse { from: BrokerId(2), leader_epoch: LeaderEpoch(6), outcome });
    assert_eq!(effects, [cut(2, 1)]);
    assert_eq!(bench.flushed(0, 4), []);
    assert_eq!(bench.replica.flushed_end(), Offset(1));
    assert_eq!(
        truncated(&mut bench, 1),
        [send_fetch(under(11, position(6, 2, 2, 1, true)))],
        "what is left is durable"
    );
}

#[test]
fn no_high_watermark_is_taken_before_the_logs_agree() {
    let mut bench = Bench::following(&[(1, 2), (3, 4)], 1);
    bench.answer(diverging(3, 4));
    truncated(&mut bench, 1);
    assert_eq!(bench.replica.high_watermark(), Offset(1));
    let effects = bench.answer(records(&[], 4, 0));
    assert_eq!(effects, [high_watermark(4), send_fetch(position(5, 4, 4, 3, true))]);
}

#[test]
fn a_leader_that_lost_acknowledged_records_is_not_followed() {
    let mut bench = Bench::following(&[(1, 2), (3, 4)], 5);
    let effects = bench.answer(diverging(3, 4));
    assert!(matches!(effects.as_slice(), [Effect::RoleChanged, Effect::Halt { .. }]), "{effects:?}");
    assert_eq!(bench.replica.log_end(), Offset(6), "the copy survives");
}

#[test]
fn once_the_logs_agree_a_request_to_cut_is_stale() {
    let mut bench = Bench::following(&[(1, 2)], 0);
    bench.answer(records(&[placed(2, 5, 2)], 0, 0));
    assert_eq!(bench.answer(diverging(1, 1)), []);
    assert_eq!(bench.replica.log_end(), Offset(4));
    assert_eq!(bench.deadline(), Some(109), "asked again after a pause");
}

#[test]
fn a_senseless_request_to_cut_is_asked_again() {
    let mut bench = Bench::following(&[(1, 2)], 0);
    assert_eq!(bench.answer(diverging(1, 2)), []);
    assert_eq!(bench.at(109), [send_fetch(position(5, 2, 2, 1, true))]);
}

#[test]
fn below_the_leaders_log_start_everything_is_copied() {
    let mut bench = Bench::following(&[(1, 2)], 1);
    let at = Offset(7);
    let effects = bench.answer(FetchOutcome::OutOfRange { log_start_offset: at });
    assert_eq!(effects, [Effect::StartOver { at, generation: LogGeneration(1) }, high_watermark(7)]);
    assert_eq!(truncated(&mut bench, 1), [send_fetch(beginning(7, position(5, 7, 7, 0, true)))]);
    assert_eq!((bench.replica.log_start(), bench.replica.log_end()), (at, at));
    // A second, late answer of that kind does no harm.
    bench.answer(records(&[], 7, 7));
    assert_eq!(bench.answer(FetchOutcome::OutOfRange { log_start_offset: at }), []);
}

#[test]
fn a_log_that_ends_where_the_leaders_begins_follows_its_start() {
    let out_of_range = |at| FetchOutcome::OutOfRange { log_start_offset: Offset(at) };
    let mut bench = Bench::following(&[(1, 5)], 2);
    bench.answer(records(&[], 3, 0));
    assert_eq!(bench.answer(out_of_range(4)), [], "what reaches past the leader's start is known to it");
    let mut bench = Bench::following(&[(1, 5)], 2);
    bench.answer(records(&[], 3, 0));
    let advance = Effect::AdvanceLogStart { to: Offset(5) };
    assert_eq!(bench.answer(out_of_range(5)), [high_watermark(5), advance]);
    bench.step(Event::LogStartChanged { offset: Offset(5) });
    // Nothing is left that the leader would have to know.
    assert_eq!(bench.at(200), [send_fetch(beginning(5, position(5, 5, 5, 0, true)))]);
    assert_eq!((bench.replica.log_start(), bench.replica.log_end()), (Offset(5), Offset(5)));
}

#[test]
fn a_log_that_holds_nothing_of_the_leaders_is_dropped_unless_it_was_acknowledged() {
    let out_of_range = || FetchOutcome::OutOfRange { log_start_offset: Offset(3) };
    let mut bench = Bench::following(&[(1, 5)], 2);
    let effects = bench.answer(out_of_range());
    let started_over = Effect::StartOver { at: Offset(3), generation: LogGeneration(1) };
    assert_eq!(effects, [started_over, high_watermark(3)]);
    let mut bench = Bench::following(&[(1, 5)], 4);
    let effects = bench.answer(out_of_range());
    assert!(matches!(effects.as_slice(), [Effect::RoleChanged, Effect::Halt { .. }]), "{effects:?}");
}

#[test]
fn the_log_start_follows_the_leaders_as_far_as_records_are_acknowledged() {
    let mut bench = Bench::following(&[(1, 6)], 0);
    assert_eq!(bench.answer(records(&[], 0, 0)), [send_fetch(position(5, 6, 6, 1, true))]);
    let effects = bench.answer(records(&[], 4, 5));
    let advance = |to| Effect::AdvanceLogStart { to: Offset(to) };
    assert_eq!(effects, [high_watermark(4), advance(4), send_fetch(position(5, 6, 6, 1, true))]);
    assert_eq!(bench.answer(records(&[], 4, 5)), [send_fetch(position(5, 6, 6, 1, true))], "asked once");
    bench.step(Event::LogStartChanged { offset: Offset(4) });
    assert_eq!(bench.replica.log_start(), Offset(4));
}

#[test]
fn a_failed_fetch_is_tried_again_with_growing_pauses() {
    let mut bench = Bench::following(&[], 0);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        assert_eq!(bench.answer(FetchOutcome::Failed(ErrorCode::BrokerNotAvailable)), []);
        let next = bench.deadline().unwrap_or_default();
        pauses.push(next - bench.now);
        assert_eq!(bench.at(next), [send_fetch(position(5, 0, 0, 0, true))]);
    }
    assert_eq!(pauses, [9, 17, 33, 65, 101, 101]);
}

#[test]
fn answers_of_others_and_of_other_epochs_are_ignored() {
    let mut bench = Bench::following(&[], 0);
    let good = || records(&[placed(0, 5, 1)], 0, 0);
    let (other, epoch) = (BrokerId(3), LeaderEpoch(5));
    assert_eq!(bench.step(Event::FetchResponse { from: other, leader_epoch: epoch, outcome: good() }), []);
    let (from, leader_epoch) = (BrokerId(2), LeaderEpoch(4));
    assert_eq!(bench.step(Event::FetchResponse { from, leader_epoch, outcome: good() }), []);
    assert_eq!(bench.replica.log_end(), Offset(0));
    assert_eq!(bench.answer(good()).len(), 2);
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let refused = [
        [placed(1, 1, 1), placed(2, 1, 1)],
        [placed(2, 1, 1), placed(4, 1, 1)],
        [placed(2, 6, 1), placed(3, 6, 1)],
        [placed(2, 4, 1), placed(3, 3, 1)],
        [placed(2, 1, 0), placed(2, 1, 1)],
    ];
    for batches in refused {
        let mut bench = Bench::following(&[(1, 2)], 0);
        assert_eq!(bench.answer(records(&batches, 2, 0)), [], "{batches:?}");
        assert_eq!((bench.replica.log_end(), bench.replica.high_watermark()), (Offset(2), Offset(0)));
        assert_eq!(bench.deadline(), Some(109));
    }
}

#[test]
fn a_fetch_whose_answer_got_lost_is_sent_again() {
    let mut bench = Bench::following(&[(4, 2)], 0);
    let deadline = bench.deadline().expect("every wait has an end");
    assert_eq!(bench.at(deadline - 1), []);
    assert_eq!(bench.at(deadline), [send_fetch(position(5, 2, 2, 4, true))]);
    assert_eq!(bench.answer(records(&[placed(2, 5, 1)], 0, 0))[0], appended(3), "the answer to either will do");
}

/// A batch for each epoch from 1 on; the log begins at `start`, a border of them.
fn beginning_at(start: u64, frozen: Frozen, isr: &[u32]) -> Bench {
    let mut bench = Bench::with_log(&[(1, 2), (2, 2), (3, 2)], 4);
    bench.step(Event::LogStartChanged { offset: Offset(start) });
    bench.step(Event::AssignmentChanged(Assignment { frozen, ..assignment(2, 5, 10, isr) }));
    bench
}

fn moves_log_start(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| if let Effect::AdvanceLogStart { to } = effect { Some(to.0) } else { None })
}

#[test]
fn in_the_isr_the_beginning_goes_once_the_leaders_log_start_has_moved() {
    let mut bench = beginning_at(0, Frozen::NotKept, &[1, 2, 3]);
    assert_eq!(moves_log_start(&bench.answer(records(&[], 6, 2))), None, "the leader began with it");
    assert_eq!(moves_log_start(&bench.answer(records(&[], 6, 2))), None);
    assert_eq!(moves_log_start(&bench.answer(records(&[], 6, 4))), Some(4), "it moved");
    // Outside the ISR nobody counts on what it holds.
    bench.step(Event::AssignmentChanged(assignment(2, 6, 11, &[2, 3])));
    let outcome = records(&[], 6, 5);
    let event = Event::FetchResponse { from: BrokerId(2), leader_epoch: LeaderEpoch(6), outcome };
    assert_eq!(moves_log_start(&bench.step(event)), Some(5));
}

#[test]
fn a_replica_that_begins_later_than_its_leader_for_long_stops_where_it_is_copied_again() {
    let halts = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Halt { .. }));
    for (isr, frozen, stops) in [
        (&[2, 3][..], Frozen::Kept(None), true),
        (&[2, 3], Frozen::NotKept, false),
        (&[1, 2, 3], Frozen::Kept(None), false),
    ] {
        let mut bench = beginning_at(2, frozen, isr);
        for _ in 0..2 {
            assert!(!halts(&bench.answer(records(&[], 6, 0))), "retention may be about to explain it");
            bench.now += 4_900;
            assert!(!halts(&bench.answer(records(&[], 6, 0))));
            assert!(!halts(&bench.answer(records(&[], 6, 2))), "explained");
        }
        bench.answer(records(&[], 6, 1));
        bench.now += 5_000;
        assert_eq!(halts(&bench.answer(records(&[], 6, 1))), stops, "{isr:?} {frozen:?}");
    }
}
