//! Fences, roles, and what ends them.

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionEpoch};

use super::*;
use crate::{
    Acks, FetchOutcome, FlushPolicy, LogGeneration, ProduceToken, ProducerTable, RoleView,
    bench::{
        Bench, append_produced, assignment, batch, failed, high_watermark, ok, position, reply, send_fetch, under,
    },
};

fn begin_epoch(leader_epoch: u32, start_offset: u64) -> Effect {
    Effect::BeginEpoch { leader_epoch: LeaderEpoch(leader_epoch), start_offset: Offset(start_offset) }
}

fn produce_in(bench: &mut Bench, leader_epoch: u32) -> Vec<Effect> {
    let leader_epoch = Some(LeaderEpoch(leader_epoch));
    let (token, batch) = (ProduceToken(1), batch(1));
    bench.step(Event::Produce { token, acks: Acks::All, leader_epoch, batch, timeout_ms: 200 })
}

#[test]
fn a_new_leader_begins_its_epoch_at_the_log_end() {
    let mut bench = Bench::with_log(&[(2, 3), (4, 2)], 1);
    assert_eq!(bench.replica.role(), RoleView::Waiting);
    let effects = bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2, 3])));
    assert_eq!(effects, [Effect::RoleChanged, begin_epoch(5, 5)]);
    assert_eq!(bench.replica.role(), RoleView::Leader);
    assert_eq!(bench.replica.readable_end(), Ok(Offset(1)), "what was acknowledged in any case");
    assert_eq!(bench.replica.latest_end(), Err(ErrorCode::OffsetNotAvailable));
    assert_eq!(bench.replica.epoch_at(Offset(4)), Some(LeaderEpoch(4)));
    assert_eq!(bench.replica.consumer_end_offset_for(LeaderEpoch(2)), (LeaderEpoch(2), Offset(1)));
}

#[test]
fn what_names_another_epoch_is_refused_and_changes_nothing() {
    let mut bench = Bench::leading();
    for (epoch, code) in [(4, ErrorCode::FencedLeaderEpoch), (6, ErrorCode::UnknownLeaderEpoch)] {
        assert_eq!(produce_in(&mut bench, epoch), [failed(1, code)]);
        let refused = reply(2, epoch, FetchReply::Failed(code));
        assert_eq!(bench.fetch(2, position(epoch, 0, 0, 0, true)), [refused]);
        assert_eq!(bench.fetch(2, position(epoch, 0, 0, 0, false)), []);
    }
    assert_eq!(bench.replica.log_end(), Offset(0));
    assert!(bench.replica.followers(Millis(0)).all(|follower| follower.log_end_offset.is_none()));
}

#[test]
fn who_does_not_lead_says_so() {
    let mut bench = Bench::following(&[], 0);
    let code = ErrorCode::NotLeaderOrFollower;
    assert_eq!(produce_in(&mut bench, 5), [failed(1, code)]);
    assert_eq!(bench.fetch(3, position(5, 0, 0, 0, true)), [reply(3, 5, FetchReply::Failed(code))]);
    assert_eq!(bench.replica.readable_end(), Err(code));
}

#[test]
fn an_assignment_with_an_older_partition_epoch_is_ignored() {
    let mut bench = Bench::leading();
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(2, 4, 9, &[2]))), []);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(2, 4, 11, &[2]))), [], "nor one of an older leadership");
    assert!(bench.replica.is_leader());
    assert_eq!(bench.replica.partition_epoch(), Some(PartitionEpoch(10)));
}

#[test]
fn settings_change_without_a_new_partition_epoch() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::Leader, batch(2));
    bench.fetch(2, position(5, 2, 0, 5, false));
    bench.fetch(3, position(5, 2, 0, 5, false));
    let interval = Assignment { flush_policy: FlushPolicy::Interval, ..assignment(1, 5, 10, &[1, 2, 3]) };
    assert_eq!(bench.step(Event::AssignmentChanged(interval.clone())), [ok(1, 0), high_watermark(2)]);
    let strict = Assignment { min_insync_replicas: 4, ..interval };
    assert_eq!(bench.step(Event::AssignmentChanged(strict)), []);
    assert_eq!(bench.produce(2, Acks::All, batch(1)), [failed(2, ErrorCode::NotEnoughReplicas)]);
}

#[test]
fn no_epoch_is_led_twice() {
    let mut bench = Bench::with_log(&[(4, 2), (5, 1)], 0);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2]))), []);
    assert_eq!(bench.replica.role(), RoleView::Waiting);
    assert_eq!(produce_in(&mut bench, 5), [failed(1, ErrorCode::NotLeaderOrFollower)]);
    let effects = bench.step(Event::AssignmentChanged(assignment(1, 6, 11, &[1, 2])));
    assert_eq!(effects, [Effect::RoleChanged, begin_epoch(6, 3)]);
}

#[test]
fn an_epoch_that_was_led_without_records_is_remembered_as_well() {
    let mut bench = Bench::leading();
    let state = ReplicaState { epochs: bench.replica.log.epochs.clone(), ..ReplicaState::default() };
    bench.replica = Replica::new(crate::bench::config(), state);
    assert_eq!(bench.replica.epoch_at(Offset(0)), Some(LeaderEpoch(5)));
    let mut effects = Vec::new();
    let again = Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2, 3]));
    bench.replica.step(Millis(200), again, &mut effects);
    assert_eq!((effects, bench.replica.role()), (Vec::new(), RoleView::Waiting));
}

#[test]
fn no_leader_older_than_the_log_is_followed() {
    let mut bench = Bench::with_log(&[(6, 2)], 0);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(2, 5, 10, &[1, 2]))), []);
    assert_eq!(bench.replica.role(), RoleView::Waiting);
}

#[test]
fn a_leader_that_is_replaced_leaves_nobody_waiting_and_follows() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    bench.produce(2, Acks::Leader, batch(1));
    bench.fetch(3, position(5, 2, 0, 5, true));
    let effects = bench.step(Event::AssignmentChanged(assignment(2, 6, 11, &[2, 3])));
    assert_eq!(
        effects,
        [
            failed(2, ErrorCode::OutcomeUnknown),
            failed(1, ErrorCode::OutcomeUnknown),
            reply(3, 5, FetchReply::Failed(ErrorCode::NotLeaderOrFollower)),
            Effect::RoleChanged,
            send_fetch(under(11, position(6, 2, 0, 5, true))),
        ]
    );
}

#[test]
fn a_leader_that_goes_on_in_a_new_epoch_begins_it() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    let effects = bench.step(Event::AssignmentChanged(assignment(1, 7, 12, &[1, 2])));
    assert_eq!(effects, [failed(1, ErrorCode::OutcomeUnknown), Effect::RoleChanged, begin_epoch(7, 1)]);
}

#[test]
fn without_a_leader_or_an_assignment_it_waits() {
    let mut bench = Bench::leading();
    let nobody = Assignment { leader: None, ..assignment(1, 6, 11, &[]) };
    assert_eq!(bench.step(Event::AssignmentChanged(nobody)), [Effect::RoleChanged]);
    assert_eq!(bench.replica.role(), RoleView::Waiting);
    let elsewhere = Assignment { replicas: vec![BrokerId(2), BrokerId(3)], ..assignment(2, 7, 12, &[2, 3]) };
    assert_eq!(bench.step(Event::AssignmentChanged(elsewhere)), []);
    assert_eq!(bench.replica.role(), RoleView::Waiting);
    assert_eq!(bench.deadline(), None);
}

#[test]
fn two_leaders_in_one_epoch_halt_it() {
    let mut bench = Bench::leading();
    let effects = bench.step(Event::AssignmentChanged(assignment(2, 5, 11, &[1, 2])));
    assert!(matches!(effects.last(), Some(Effect::Halt { .. })), "{effects:?}");
}

#[test]
fn a_storage_error_is_final() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    bench.fetch(2, position(5, 1, 0, 5, true));
    let effects = bench.step(Event::StorageFailed);
    assert_eq!(
        effects,
        [
            failed(1, ErrorCode::OutcomeUnknown),
            reply(2, 5, FetchReply::Failed(ErrorCode::KafkaStorageError)),
            Effect::RoleChanged,
            Effect::Halt { reason: "a write or fsync of the log failed" },
        ]
    );
    assert_eq!(produce_in(&mut bench, 5), [failed(1, ErrorCode::KafkaStorageError)]);
    let refused = reply(2, 5, FetchReply::Failed(ErrorCode::KafkaStorageError));
    assert_eq!(bench.fetch(2, position(5, 1, 1, 5, true)), [refused]);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(1, 6, 11, &[1]))), []);
    assert_eq!(bench.flushed(0, 1), []);
    assert_eq!(bench.replica.readable_end(), Err(ErrorCode::KafkaStorageError));
}

#[test]
fn a_lost_session_sends_waiting_producers_away_and_goes_on() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    assert_eq!(bench.step(Event::SessionLost), [failed(1, ErrorCode::OutcomeUnknown)]);
    assert_eq!(bench.produce(2, Acks::All, batch(1)), [append_produced(2, 1)]);
    assert_eq!(Bench::following(&[], 0).step(Event::SessionLost), []);
}

#[test]
fn elected_while_the_disk_still_cuts_the_log_it_takes_no_records_until_that_is_done() {
    let mut bench = Bench::following(&[(2, 3), (4, 2)], 2);
    let cut = FetchOutcome::Diverging { leader_epoch: LeaderEpoch(2), end_offset: Offset(3) };
    bench.answer(cut);
    let effects = bench.step(Event::AssignmentChanged(assignment(1, 6, 11, &[1, 2])));
    assert_eq!(effects, [Effect::RoleChanged, begin_epoch(6, 3)]);
    assert_eq!(bench.produce(1, Acks::All, batch(1)), [failed(1, ErrorCode::LeaderNotAvailable)]);
    let generation = LogGeneration(1);
    bench.step(Event::Truncated { generation, producers: ProducerTable::new() });
    let effects = bench.produce(2, Acks::All, batch(1));
    let appended = Effect::AppendProduced {
        token: ProduceToken(2),
        base_offset: Offset(3),
        leader_epoch: LeaderEpoch(6),
        generation,
    };
    assert_eq!(effects, [appended]);
}

#[test]
fn time_does_not_go_back() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    bench.at(50);
    assert_eq!(bench.at(300), [failed(1, ErrorCode::RequestTimedOut)]);
}
