//! ISR changes: every check, and its error.

use uuid::Uuid;

use holdfast_metadata::{AlterPartition, Command, Record, Response};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition},
};

use crate::cluster::{Cluster, b};

/// Broker 1 leads partition 0 of the topic; 3 has fallen behind.
fn one_behind() -> (Cluster, TopicId) {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!(c.alter(t, &[1, 2]).as_deref(), Ok("1 @0/1 isr 1,2 elr -"));
    (c, t)
}

#[test]
fn an_isr_shrinks_and_grows() {
    let (mut c, t) = one_behind();
    assert_eq!(c.alter(t, &[1]).as_deref(), Ok("1 @0/2 isr 1 elr 2"));
    assert_eq!(c.alter(t, &[3, 1]).as_deref(), Ok("1 @0/3 isr 1,3 elr -"), "whole again, nobody else is eligible");
    let proposal = c.proposal(t, &[1, 2, 3]);
    let (records, response) = c.ok(&Command::AlterPartition(proposal));
    let state = c.state(t).clone();
    let partition = PartitionIndex(0);
    assert_eq!(records, [Record::Partition { topic_id: t, partition, state: state.clone() }]);
    assert_eq!(response, Response::PartitionsAltered { results: vec![Ok(state)] });
}

#[test]
fn many_leave_at_once_and_stay_eligible() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!(c.alter(t, &[1]).as_deref(), Ok("1 @0/1 isr 1 elr 2,3"));
}

#[test]
fn proposing_the_present_state_takes_back_what_is_still_on_its_way() {
    let (mut c, t) = one_behind();
    let delayed = c.proposal(t, &[1, 2, 3]);
    let withdrawal = c.proposal(t, &[2, 1]);
    assert_eq!(c.propose(withdrawal).as_deref(), Ok("1 @0/2 isr 1,2 elr -"));
    assert_eq!(c.decided(&delayed), Err(ErrorCode::InvalidUpdateVersion));
}

#[test]
fn a_proposal_is_refused_when_time_has_passed_it() {
    let (c, t) = one_behind();
    let check = |make: fn(&mut AlterPartition)| {
        let mut proposal = c.proposal(t, &[1, 2, 3]);
        make(&mut proposal);
        c.decided(&proposal)
    };
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(check(|p| p.broker_epoch = BrokerEpoch(9)), Err(ErrorCode::StaleBrokerEpoch));
    assert_eq!(check(|p| p.broker_id = b(9)), Err(ErrorCode::BrokerIdNotRegistered));
    let other = |p: &mut AlterPartition| (p.broker_id, p.broker_epoch) = (b(2), BrokerEpoch(2));
    assert_eq!(check(other), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(check(|p| p.changes[0].leader_epoch = LeaderEpoch(1)), Err(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(check(|p| p.changes[0].partition_epoch = PartitionEpoch(0)), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(check(|p| p.changes[0].partition_epoch = PartitionEpoch(2)), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(check(|p| p.changes[0].topic_id = TopicId(Uuid::nil())), Err(ErrorCode::UnknownTopicId));
    assert_eq!(check(|p| p.changes[0].partition = PartitionIndex(1)), Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(check(|p| p.changes[0].new_isr.clear()), Err(ErrorCode::InvalidRequest));
    assert_eq!(check(|p| p.changes[0].new_isr[1] = p.changes[0].new_isr[0]), Err(ErrorCode::InvalidRequest));
    assert_eq!(
        check(|p| p.changes[0].new_isr = p.changes[0].new_isr.split_off(1)),
        Err(ErrorCode::InvalidRequest),
        "without the leader"
    );
    assert_eq!(check(|p| p.changes[0].new_isr[2].broker_epoch = BrokerEpoch(9)), Err(ErrorCode::IneligibleReplica));
    let unassigned = |p: &mut AlterPartition| p.changes[0].new_isr[2].broker_id = b(9);
    assert_eq!(check(unassigned), Err(ErrorCode::IneligibleReplica));
}

#[test]
fn an_ended_leadership_is_fenced() {
    let (mut c, t) = one_behind();
    let proposal = c.proposal(t, &[1]);
    c.fence(1);
    c.unfence(1);
    assert_eq!(c.shown(t), "2 @1/2 isr 2 elr 1");
    assert_eq!(c.propose(proposal), Err(ErrorCode::FencedLeaderEpoch));
}

#[test]
fn each_change_is_decided_alone_and_once() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    let mut proposal = c.proposal(t, &[1, 2]);
    let mut unknown = proposal.changes[0].clone();
    unknown.partition = PartitionIndex(5);
    proposal.changes = vec![unknown, proposal.changes[0].clone(), proposal.changes[0].clone()];
    let (records, response) = c.ok(&Command::AlterPartition(proposal));
    assert_eq!(records.len(), 1);
    let Response::PartitionsAltered { results } = response else { panic!("{response:?}") };
    let codes: Vec<_> = results.into_iter().map(|result| result.err().map(|rejection| rejection.code)).collect();
    assert_eq!(codes, [Some(ErrorCode::UnknownTopicOrPartition), None, Some(ErrorCode::InvalidUpdateVersion)]);
}

#[test]
fn preferred_leaders_get_their_partitions_back_when_in_sync() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    let tp = TopicPartition { topic_id: t, partition: PartitionIndex(0) };
    c.fence(1);
    c.unfence(1);
    let all = Command::ElectLeaders { partitions: Vec::new() };
    assert_eq!(c.ok(&all), (vec![], Response::LeadersElected { elected: 0 }), "not in sync yet");
    assert_eq!(c.alter(t, &[1, 2, 3]).as_deref(), Ok("2 @1/2 isr 1,2,3 elr -"));
    let twice = Command::ElectLeaders { partitions: vec![tp, tp] };
    assert_eq!(c.ok(&twice).1, Response::LeadersElected { elected: 1 });
    assert_eq!(c.shown(t), "1 @2/3 isr 1,2,3 elr -");
    assert_eq!(c.ok(&all).0, []);
    let unknown = TopicPartition { topic_id: t, partition: PartitionIndex(1) };
    let command = Command::ElectLeaders { partitions: vec![unknown] };
    assert_eq!(c.refused(&command).code, ErrorCode::UnknownTopicOrPartition);
}
