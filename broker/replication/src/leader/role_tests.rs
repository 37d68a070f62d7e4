//! Rules of the leader: state and exact effects.

use holdfast_proto::ids::{BrokerEpoch, LeaderEpoch, Offset, PartitionEpoch, ProducerEpoch, ProducerId, Sequence};

use super::*;
use crate::{
    Acks, BatchInfo, Event, FetchPosition,
    bench::{
        BROKER_EPOCH, Bench, append_produced, assignment, batch, beginning, config, failed, high_watermark, ok,
        position, propose, reply, reply_records, under,
    },
};

/// Both followers wait at the log end, which is 0.
fn with_parked_followers() -> Bench {
    let mut bench = Bench::leading();
    for follower in [2, 3] {
        assert_eq!(bench.fetch(follower, position(5, 0, 0, 0, true)), []);
    }
    bench
}

fn sequenced(base_sequence: i32, record_count: u32) -> BatchInfo {
    BatchInfo {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(base_sequence),
        ..batch(record_count)
    }
}

fn proposal_result(result: Result<Assignment, ErrorCode>) -> Event {
    let (leader_epoch, partition_epoch) = (LeaderEpoch(5), PartitionEpoch(10));
    Event::IsrProposalResult { leader_epoch, partition_epoch, result }
}

#[test]
fn an_append_wakes_waiting_followers_in_the_same_step() {
    let mut bench = with_parked_followers();
    let effects = bench.produce(1, Acks::All, batch(3));
    assert_eq!(effects, [append_produced(1, 0), reply_records(2, 0, 0), reply_records(3, 0, 0)]);
    assert_eq!(bench.produce(2, Acks::All, batch(1)), [append_produced(2, 3)], "one answer to one fetch");
}

#[test]
fn acks_all_is_answered_once_every_member_has_it_on_disk() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, batch(3));
    bench.produce(2, Acks::All, batch(2));
    assert_eq!(bench.flushed(0, 5), []);
    assert_eq!(bench.fetch(2, position(5, 5, 3, 5, false)), []);
    assert_eq!(bench.fetch(3, position(5, 5, 0, 5, true)), [], "appended is not durable");
    assert_eq!(bench.fetch(3, position(5, 5, 5, 5, false)), [high_watermark(3), ok(1, 0)]);
    assert_eq!(bench.fetch(2, position(5, 5, 5, 5, false)), [high_watermark(5), ok(2, 3)]);
    assert_eq!(bench.replica.readable_end(), Ok(Offset(5)));
}

#[test]
fn the_leader_itself_counts_at_its_durable_end() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, batch(1));
    bench.fetch(2, position(5, 1, 1, 5, false));
    assert_eq!(bench.fetch(3, position(5, 1, 1, 5, false)), []);
    assert_eq!(bench.flushed(0, 1), [high_watermark(1), ok(1, 0)]);
}

#[test]
fn acks_one_is_answered_when_the_leader_has_it_on_disk_and_acks_none_at_once() {
    let mut bench = Bench::leading();
    assert_eq!(bench.produce(1, Acks::Leader, batch(1)), [append_produced(1, 0)]);
    assert_eq!(bench.produce(2, Acks::None, batch(1)), [append_produced(2, 1), ok(2, 1)]);
    assert_eq!(bench.flushed(0, 2), [ok(1, 0)]);
    assert_eq!(bench.replica.readable_end(), Ok(Offset(0)));
}

#[test]
fn below_the_minimum_only_acks_all_is_refused() {
    let mut bench = Bench::with_log(&[], 0);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1])));
    assert_eq!(bench.produce(1, Acks::All, batch(1)), [failed(1, ErrorCode::NotEnoughReplicas)]);
    assert_eq!(bench.produce(2, Acks::Leader, batch(1)), [append_produced(2, 0)]);
    assert_eq!(bench.flushed(0, 1), [ok(2, 0)], "and the high watermark stands still");
}

#[test]
fn a_duplicate_waits_with_its_original_and_has_its_place() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, sequenced(0, 2));
    assert_eq!(bench.produce(2, Acks::All, sequenced(0, 2)), []);
    bench.flushed(0, 2);
    assert_eq!(bench.produce(3, Acks::Leader, sequenced(0, 2)), [ok(3, 0)], "under its own condition");
    bench.fetch(2, position(5, 2, 2, 5, false));
    let effects = bench.fetch(3, position(5, 2, 2, 5, false));
    assert_eq!(effects, [high_watermark(2), ok(1, 0), ok(2, 0)]);
    assert_eq!(bench.produce(4, Acks::All, sequenced(0, 2)), [ok(4, 0)]);
    assert_eq!(bench.replica.log_end(), Offset(2));
}

#[test]
fn a_duplicate_is_answered_whatever_the_isr_is_and_a_gap_is_not_seen_then() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, sequenced(0, 1));
    bench.step(Event::AssignmentChanged(assignment(1, 5, 11, &[1])));
    assert_eq!(bench.produce(2, Acks::All, sequenced(0, 1)), [], "it waits");
    assert_eq!(bench.produce(3, Acks::All, sequenced(5, 1)), [failed(3, ErrorCode::NotEnoughReplicas)]);
    assert_eq!(bench.produce(4, Acks::Leader, sequenced(5, 1)), [failed(4, ErrorCode::OutOfOrderSequenceNumber)]);
}

#[test]
fn waiting_produces_are_bounded() {
    let mut bench = Bench::leading();
    for token in 1..=3 {
        bench.produce(token, Acks::All, sequenced(token as i32 - 1, 1));
    }
    assert_eq!(bench.produce(4, Acks::All, sequenced(3, 1)), [failed(4, ErrorCode::Overloaded)]);
    assert_eq!(bench.produce(5, Acks::All, sequenced(2, 1)), [failed(5, ErrorCode::OutcomeUnknown)], "it was appended");
    assert_eq!(bench.produce(6, Acks::None, sequenced(3, 1)), [append_produced(6, 3), ok(6, 3)]);
    assert_eq!(bench.replica.pending_produces(), 3);
}

#[test]
fn an_empty_batch_is_refused() {
    assert_eq!(Bench::leading().produce(1, Acks::All, batch(0)), [failed(1, ErrorCode::InvalidRecord)]);
}

#[test]
fn a_produce_waits_until_its_deadline() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::All, batch(1));
    assert_eq!(bench.deadline(), Some(300));
    assert_eq!(bench.at(299), []);
    assert_eq!(bench.at(300), [failed(1, ErrorCode::RequestTimedOut)]);
    bench.produce(2, Acks::All, batch(1));
    bench.step(Event::AssignmentChanged(assignment(1, 5, 11, &[1])));
    assert_eq!(bench.at(500), [failed(2, ErrorCode::NotEnoughReplicasAfterAppend)]);
}

#[test]
fn a_follower_is_told_a_new_high_watermark_when_nothing_is_appended() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, batch(1));
    bench.flushed(0, 1);
    bench.fetch(2, position(5, 1, 0, 5, true));
    bench.fetch(2, position(5, 1, 1, 5, false));
    bench.now = 110;
    bench.fetch(3, position(5, 1, 1, 5, false));
    assert_eq!(bench.deadline(), Some(160));
    assert_eq!(bench.at(159), []);
    assert_eq!(bench.at(160), [reply_records(2, 1, 1)]);
    // It knows now: the next fetch waits, also for long.
    assert_eq!(bench.fetch(2, position(5, 1, 1, 5, true)), []);
    assert_eq!(bench.deadline(), Some(160 + config().parked_fetch_max_ms));
    // The other one did not want an answer; when it does, it is told after the same while.
    assert_eq!(bench.fetch(3, position(5, 1, 1, 5, true)), []);
    assert_eq!(bench.deadline(), Some(210));
}

#[test]
fn a_waiting_fetch_is_answered_in_the_end_though_nothing_is_there() {
    let mut bench = with_parked_followers();
    let longest = config().parked_fetch_max_ms;
    assert_eq!(bench.deadline(), Some(bench.now + longest));
    assert_eq!(bench.at(bench.now + longest - 1), []);
    assert_eq!(bench.at(bench.now + 1), [reply_records(2, 0, 0), reply_records(3, 0, 0)]);
}

#[test]
fn a_stream_that_ended_takes_its_waiting_fetch_with_it() {
    let mut bench = with_parked_followers();
    bench.step(Event::ReplicaDisconnected { from: BrokerId(2) });
    assert_eq!(bench.produce(1, Acks::All, batch(1)), [append_produced(1, 0), reply_records(3, 0, 0)]);
}

#[test]
fn a_fetch_is_checked_for_divergence_before_it_counts() {
    let mut bench = Bench::with_log(&[(1, 2), (3, 2)], 0);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2])));
    let diverging = |epoch, end| {
        let (leader_epoch, end_offset) = (LeaderEpoch(epoch), Offset(end));
        [reply(2, 5, FetchReply::Diverging { leader_epoch, end_offset })]
    };
    assert_eq!(bench.fetch(2, position(5, 4, 4, 2, true)), diverging(1, 2), "epoch 2 is not known here");
    assert_eq!(bench.fetch(2, position(5, 9, 9, 3, true)), diverging(3, 4), "epoch 3 ends earlier");
    assert_eq!(bench.fetch(2, position(5, 3, 3, 1, true)), diverging(1, 2));
    assert_eq!(bench.fetch(2, position(5, 5, 5, 0, true)), diverging(5, 4), "an empty log past our end");
    assert_eq!(bench.fetch(2, position(5, 9, 9, 3, false)), [], "who wants no answer gets none");
    let view = |bench: &Bench| bench.replica.followers(Millis(100)).next().and_then(|follower| follower.flushed_offset);
    assert_eq!(view(&bench), None);
    assert_eq!(bench.fetch(2, position(5, 2, 2, 1, true)), [high_watermark(2), reply_records(2, 2, 2)]);
    assert_eq!(view(&bench), Some(Offset(2)));
    assert_eq!(bench.fetch(2, position(5, 4, 4, 3, false)), [high_watermark(4)]);
    // A position that is not on our log takes back what was known, even from an ISR member.
    bench.fetch(2, position(5, 4, 4, 2, true));
    assert_eq!(view(&bench), None);
}

#[test]
fn a_replica_whose_records_are_behind_the_epochs_start_does_not_join() {
    // The leader's own high watermark is a lower bound; a replica that has only that may lack acknowledged records.
    let mut bench = Bench::with_log(&[(4, 4)], 0);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2, 3])));
    bench.step(Event::AssignmentChanged(assignment(1, 5, 11, &[1, 2])));
    let effects = bench.fetch(3, position(5, 3, 3, 4, true));
    assert_eq!(effects, [reply_records(3, 3, 0)], "it was in sync a moment ago, and still does not join");
}

#[test]
fn below_the_log_start_or_all_known_epochs_everything_is_copied() {
    let mut bench = Bench::with_log(&[(1, 2), (3, 2)], 4);
    bench.step(Event::LogStartChanged { offset: Offset(2) });
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 3])));
    let out_of_range = [reply(2, 5, FetchReply::OutOfRange { log_start_offset: Offset(2) })];
    assert_eq!(bench.fetch(2, position(5, 1, 1, 1, true)), out_of_range);
    assert_eq!(bench.fetch(2, position(5, 3, 3, 1, true)), out_of_range);
    assert_eq!(bench.fetch(2, position(5, 2, 2, 1, true)), out_of_range, "where epoch 1 ended here is forgotten");
}

#[test]
fn a_fetch_that_waits_is_answered_when_its_follower_tells_a_position_that_is_no_place_any_more() {
    let mut bench = Bench::with_log(&[(1, 2)], 2);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 3])));
    assert_eq!(bench.fetch(2, position(5, 2, 1, 1, true)), [], "it waits at the end");
    bench.step(Event::LogStartChanged { offset: Offset(2) });
    let out_of_range = [reply(2, 5, FetchReply::OutOfRange { log_start_offset: Offset(2) })];
    assert_eq!(bench.fetch(2, position(5, 2, 2, 1, false)), out_of_range, "its flush is told, and its epoch forgotten");
    assert_eq!(bench.fetch(2, position(5, 2, 2, 1, false)), [], "once");
}

#[test]
fn strangers_and_earlier_starts_are_refused() {
    let mut bench = Bench::leading();
    let refused = |to, code| [reply(to, 5, FetchReply::Failed(code))];
    assert_eq!(bench.fetch(9, position(5, 0, 0, 0, true)), refused(9, ErrorCode::NotLeaderOrFollower));
    bench.fetch(2, position(5, 0, 0, 0, true));
    let older = BrokerEpoch(BROKER_EPOCH.0 - 1);
    let late = Event::ReplicaFetch { from: BrokerId(2), broker_epoch: older, position: position(5, 0, 0, 0, true) };
    assert_eq!(bench.step(late), refused(2, ErrorCode::StaleBrokerEpoch));
}

#[test]
fn members_that_do_not_come_leave_the_isr() {
    let mut bench = Bench::leading();
    bench.fetch(2, position(5, 0, 0, 0, true));
    assert_eq!(bench.deadline(), Some(1_101));
    assert_eq!(bench.at(1_100), []);
    assert_eq!(bench.at(1_101), [propose(10, &[(1, false), (2, true)])]);
    assert_eq!(bench.at(1_600), [], "one proposal at a time");
    assert_eq!(bench.at(1_601), [propose(10, &[(1, false), (2, true)])], "its answer got lost");
    let committed = assignment(1, 5, 11, &[1, 2]);
    assert_eq!(bench.step(proposal_result(Ok(committed))), []);
    assert_eq!(bench.replica.isr(), [BrokerId(1), BrokerId(2)]);
    let longest = 100 + config().parked_fetch_max_ms;
    assert_eq!(bench.deadline(), Some(longest), "who stands at the log end does not lag; its fetch waits");
}

#[test]
fn a_shrink_lifts_the_high_watermark_when_it_is_committed_and_not_before() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, batch(1));
    bench.flushed(0, 1);
    bench.fetch(2, position(5, 1, 1, 5, true));
    assert_eq!(bench.at(300), [failed(1, ErrorCode::RequestTimedOut)]);
    assert_eq!(bench.at(1_101), [propose(10, &[(1, false), (2, true)])]);
    let effects = bench.step(proposal_result(Ok(assignment(1, 5, 11, &[1, 2]))));
    assert_eq!(effects, [high_watermark(1)]);
}

#[test]
fn a_replica_joins_once_it_has_reached_the_high_watermark_and_the_epochs_start() {
    let mut bench = Bench::with_log(&[(4, 4)], 1);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2])));
    assert_eq!(bench.fetch(3, position(5, 4, 3, 4, true)), [], "its durable end is short of the epoch's start");
    let joining = [propose(10, &[(1, false), (2, false), (3, true)])];
    assert_eq!(bench.fetch(3, position(5, 4, 4, 4, false)), joining);
    assert!(bench.replica.followers(Millis(100)).any(|follower| follower.is_joining));
    assert_eq!(bench.fetch(2, position(5, 4, 4, 4, true)), [high_watermark(4)]);
    // From now on it counts.
    bench.produce(1, Acks::All, batch(1));
    bench.flushed(0, 5);
    assert_eq!(bench.fetch(2, position(5, 5, 5, 5, false)), []);
    assert_eq!(bench.fetch(3, position(5, 5, 5, 5, false)), [high_watermark(5), ok(1, 4)]);
    // Metadata may come before the answer.
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(1, 5, 11, &[1, 2, 3]))), []);
    assert_eq!(bench.step(proposal_result(Ok(assignment(1, 5, 11, &[1, 2, 3])))), []);
    assert_eq!(bench.step(proposal_result(Err(ErrorCode::InvalidUpdateVersion))), []);
}

#[test]
fn a_replica_that_begins_later_than_its_leader_joins_only_where_it_is_needed() {
    let joining = |effects: &[Effect]| {
        effects.iter().any(|effect| matches!(effect, Effect::ProposeIsr { new_isr, .. } if new_isr.iter().any(|(id, _)| *id == BrokerId(3))))
    };
    let late = beginning(1, position(5, 4, 4, 4, true));
    let unknown = FetchPosition { log_start_offset: None, ..late };
    for (isr, told, joins) in [(&[1, 2][..], late, false), (&[1, 2], unknown, true), (&[1], late, true)] {
        let mut bench = Bench::with_log(&[(4, 4)], 4);
        let frozen = Frozen::Kept(Some(Offset(4)));
        bench.step(Event::AssignmentChanged(Assignment { frozen, ..assignment(1, 5, 10, isr) }));
        assert_eq!(joining(&bench.fetch(3, told)), joins, "{isr:?}");
        let effects = bench.step(Event::LogStartChanged { offset: Offset(1) });
        assert_eq!(joining(&effects), !joins, "retention took it here too: {isr:?}");
    }
}

#[test]
fn a_refused_joiner_is_proposed_again_after_a_pause() {
    let mut bench = Bench::with_log(&[], 0);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2])));
    let joining = [propose(10, &[(1, false), (2, false), (3, true)])];
    assert_eq!(bench.fetch(3, position(5, 0, 0, 0, true)), joining);
    assert_eq!(bench.step(proposal_result(Err(ErrorCode::IneligibleReplica))), []);
    assert_eq!(bench.deadline(), Some(200));
    assert_eq!(bench.at(199), []);
    assert_eq!(bench.at(200), joining);
    // A dead one is not: its stream has ended.
    bench.step(proposal_result(Err(ErrorCode::IneligibleReplica)));
    bench.step(Event::ReplicaDisconnected { from: BrokerId(3) });
    assert_eq!(bench.at(300), []);
}

#[test]
fn a_restarted_joiner_in_doubt_is_withdrawn_and_counts_until_then() {
    let mut bench = Bench::with_log(&[], 0);
    bench.step(Event::AssignmentChanged(assignment(1, 5, 10, &[1, 2])));
    bench.fetch(2, position(5, 0, 0, 0, true));
    bench.fetch(3, position(5, 0, 0, 0, true));
    bench.step(proposal_result(Err(ErrorCode::RequestTimedOut)));
    bench.step(Event::ReplicaDisconnected { from: BrokerId(3) });
    bench.produce(1, Acks::All, batch(1));
    bench.flushed(0, 1);
    assert_eq!(bench.fetch(2, position(5, 1, 1, 5, false)), []);
    assert_eq!(bench.at(200), [propose(10, &[(1, false), (2, true)])]);
    assert_eq!(bench.step(Event::AssignmentChanged(assignment(1, 5, 11, &[1, 2]))), [high_watermark(1), ok(1, 0)]);
}

/// What the state with `partition_epoch` is with these replicas and this ISR, broker 1 leading on in epoch 5.
fn moving(partition_epoch: u32, replicas: &[u32], isr: &[u32]) -> Event {
    let replicas = replicas.iter().map(|id| BrokerId(*id)).collect();
    Event::AssignmentChanged(Assignment { replicas, ..assignment(1, 5, partition_epoch, isr) })
}

#[test]
fn an_adding_replica_counts_only_once_it_may_have_joined() {
    let mut bench = Bench::leading();
    assert_eq!(bench.step(moving(11, &[1, 2, 4, 3], &[1, 2, 3])), []);
    bench.produce(1, Acks::All, batch(2));
    bench.flushed(0, 2);
    bench.fetch(2, position(5, 2, 2, 5, false));
    assert_eq!(bench.fetch(3, position(5, 2, 2, 5, false)), [high_watermark(2), ok(1, 0)], "4 has nothing yet");
    assert_eq!(bench.fetch(4, under(11, position(5, 0, 0, 0, true))), [reply_records(4, 0, 2)]);
    let joining = propose(11, &[(1, false), (2, true), (3, true), (4, true)]);
    assert_eq!(bench.fetch(4, under(11, position(5, 2, 2, 5, false))), [joining]);
    // From now on it may be in the ISR, and is waited for.
    bench.produce(2, Acks::All, batch(1));
    bench.flushed(0, 3);
    bench.fetch(2, position(5, 3, 3, 5, false));
    assert_eq!(bench.fetch(3, position(5, 3, 3, 5, false)), []);
    // It joins, which ends the move: 3 goes in the same change, and no longer counts.
    assert_eq!(bench.step(moving(12, &[1, 2, 4], &[1, 2, 4])), []);
    assert_eq!(bench.fetch(4, under(11, position(5, 3, 3, 5, false))), [high_watermark(3), ok(2, 2)]);
    let refused = [reply(3, 5, FetchReply::Failed(ErrorCode::NotLeaderOrFollower))];
    assert_eq!(bench.fetch(3, position(5, 3, 3, 5, true)), refused);
}

#[test]
fn outside_the_isr_only_a_position_under_the_latest_state_counts() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::Leader, batch(2));
    bench.flushed(0, 2);
    bench.fetch(2, position(5, 2, 2, 5, false));
    assert_eq!(bench.fetch(3, position(5, 2, 2, 5, false)), [high_watermark(2)]);
    // 3 is taken away, its broker deletes it, it is given back and begins again, empty.
    bench.step(moving(11, &[1, 2], &[1, 2]));
    assert_eq!(bench.step(moving(12, &[1, 2, 3], &[1, 2])), []);
    assert_eq!(bench.fetch(3, position(5, 2, 2, 5, false)), [], "the former replica's words");
    assert_eq!(bench.fetch(3, position(5, 2, 2, 5, true)), [], "and its request waits for records, as any");
    assert_eq!(bench.fetch(3, under(12, position(5, 0, 0, 0, true))), [reply_records(3, 0, 2)]);
    let joining = propose(12, &[(1, false), (2, true), (3, true)]);
    assert_eq!(bench.fetch(3, under(12, position(5, 2, 2, 5, false))), [joining]);
}

#[test]
fn a_leader_that_sees_only_the_end_of_two_moves_forgets_as_well() {
    let mut bench = Bench::leading();
    bench.produce(1, Acks::Leader, batch(2));
    bench.flushed(0, 2);
    bench.fetch(2, position(5, 2, 2, 5, false));
    assert_eq!(bench.fetch(3, position(5, 2, 2, 5, false)), [high_watermark(2)]);
    // The states in between, without 3, were never seen here: a snapshot brought the last one.
    bench.step(moving(13, &[1, 2, 3], &[1, 2]));
    assert_eq!(bench.fetch(3, under(13, position(5, 0, 0, 0, true))), [reply_records(3, 0, 2)]);
    let ends = |id| bench.replica.followers(Millis(100)).find(|view| view.broker_id == BrokerId(id)).unwrap();
    assert_eq!((ends(3).flushed_offset, ends(3).is_joining), (Some(Offset(0)), false));
}

#[test]
fn a_replica_that_is_no_longer_assigned_is_sent_away() {
    let mut bench = with_parked_followers();
    let replicas = vec![BrokerId(1), BrokerId(2)];
    let effects = bench.step(Event::AssignmentChanged(Assignment { replicas, ..assignment(1, 5, 11, &[1, 2]) }));
    assert_eq!(effects, [reply(3, 5, FetchReply::Failed(ErrorCode::NotLeaderOrFollower))]);
    assert_eq!(bench.replica.followers(Millis(100)).count(), 1);
}

#[test]
fn a_leader_whose_isr_is_too_small_says_once_where_its_high_watermark_stands() {
    let mut bench = with_parked_followers();
    bench.produce(1, Acks::All, batch(3));
    bench.flushed(0, 3);
    bench.fetch(2, position(5, 3, 3, 5, false));
    assert_eq!(bench.fetch(3, position(5, 3, 3, 5, false)), [high_watermark(3), ok(1, 0)]);
    let kept = |partition_epoch, isr: &[u32], frozen| {
        Event::AssignmentChanged(Assignment { frozen, ..assignment(1, 5, partition_epoch, isr) })
    };
    let says = |effects: Vec<Effect>| {
        let said = effects.into_iter().filter_map(|effect| match effect {
            Effect::ProposeIsr { new_isr, high_watermark, .. } => Some((new_isr.len(), high_watermark)),
            _ => None,
        });
        said.collect::<Vec<_>>()
    };
    assert_eq!(says(bench.step(kept(11, &[1, 2], Frozen::Kept(None)))), [], "more may be acknowledged");
    assert_eq!(says(bench.step(kept(12, &[1], Frozen::NotKept))), [], "an older version keeps nothing");
    assert_eq!(says(bench.step(kept(13, &[1], Frozen::Kept(None)))), [(1, Some(Offset(3)))]);
    assert_eq!(says(bench.step(kept(14, &[1], Frozen::Kept(Some(Offset(3)))))), [], "it is known");
}

#[test]
fn a_new_leader_does_not_say_a_high_watermark_that_may_be_older_than_what_was_acknowledged() {
    let mut bench = Bench::with_log(&[(4, 10)], 7);
    let elected = Assignment { frozen: Frozen::Kept(None), ..assignment(1, 5, 10, &[1]) };
    let effects = bench.step(Event::AssignmentChanged(elected));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ProposeIsr { .. })), "{effects:?}");
}
