//! Brokers whose sessions end together are fenced in one step, and all of them stay eligible.

use holdfast_metadata::{
    Command, ControllerVersions, EndedSession, FinalizeVersion, Response,
    trust::{ReplicaReport, Vouch},
    version::TRUST,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, ControllerId, LeaderEpoch, MetadataVersion, Offset, PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, b};

/// The numbers of a mask, from 1 on.
fn members(mask: u32, count: u32) -> Vec<u32> {
    (1..=count).filter(|n| mask & (1 << (n - 1)) != 0).collect()
}

fn ids(members: &[u32]) -> Vec<BrokerId> {
    members.iter().copied().map(b).collect()
}

/// As many brokers as replicas, and a topic of one partition on all of them.
fn cluster(replicas: u32, min_isr: u32) -> (Cluster, TopicId) {
    let mut c = Cluster::with_tokens(replicas);
    let t = c.topic("t", 1, replicas, &[("min.insync.replicas", &min_isr.to_string())]);
    assert_eq!(c.state(t).isr.len(), replicas as usize);
    (c, t)
}

/// Broker `n` starts again on its disk, says that its log ends there, and serves.
fn back(c: &mut Cluster, t: TopicId, n: u32, end: u64) {
    let boot = c.image.broker(b(n)).expect("it registered").boot_counter + 1;
    let report = ReplicaReport {
        topic_id: t,
        partition: PartitionIndex(0),
        leader_epoch: Some(LeaderEpoch(0)),
        end: Offset(end),
        vouch: Vouch::Doubtful,
    };
    let registration = c.proving(n, boot, &[report]);
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

fn sorted(mut members: Vec<BrokerId>) -> Vec<BrokerId> {
    members.sort_unstable();
    members
}

/// Of every set of sessions that end together all are eligible, or none if enough remain; and of those who come back as many as
/// min ISR elect a leader.
#[test]
fn who_ends_together_stays_eligible_together_and_min_isr_of_them_elect() {
    let mut elected = 0;
    for replicas in 1..=5_u32 {
        for min_isr in 1..=replicas.min(3) {
            for ended in (1..1 << replicas).map(|mask| members(mask, replicas)) {
                let (mut c, t) = cluster(replicas, min_isr);
                c.ok(&c.fencing(&ended));
                let state = c.state(t).clone();
                let remain = replicas as usize - ended.len();
                assert_eq!(state.isr.len(), remain, "{ended:?}");
                assert_eq!(state.leader.is_some(), remain > 0, "{ended:?}: {state:?}");
                let expected = if remain < min_isr as usize { ids(&ended) } else { Vec::new() };
                assert_eq!(sorted(state.elr), expected, "min ISR {min_isr} of {replicas}, {ended:?}");
                if remain > 0 {
                    continue;
                }
                for mask in 1..1 << replicas {
                    let returning = members(mask, replicas);
                    let mut c = c.clone();
                    for n in &returning {
                        back(&mut c, t, *n, 10 + u64::from(*n));
                    }
                    let leads = returning.len() >= min_isr as usize;
                    assert_eq!(c.state(t).leader.is_some(), leads, "min ISR {min_isr} of {replicas}, {returning:?}");
                    elected += u32::from(leads);
                }
            }
        }
    }
    assert!(elected > 100, "{elected} elections");
}

#[test]
fn one_after_the_other_the_first_counts_for_nothing_and_together_it_does() {
    let (mut c, t) = cluster(3, 2);
    (1..=3).for_each(|n| drop(c.fence(n)));
    assert_eq!(c.state(t).elr, [b(2), b(3)]);
    back(&mut c, t, 1, 10);
    back(&mut c, t, 2, 10);
    assert_eq!(c.state(t).leader, None, "broker 3 stays away");
    let (mut c, t) = cluster(3, 2);
    let together = c.fencing(&[1, 2, 3]);
    assert_eq!(c.ok(&together).1, Response::BrokerFenced);
    assert_eq!(c.ok(&together).0, [], "again changes nothing");
    back(&mut c, t, 1, 11);
    assert_eq!(c.state(t).leader, None, "one alone may lack something");
    back(&mut c, t, 2, 10);
    assert_eq!(c.state(t).leader, Some(b(1)), "the farthest leads, and nobody waits for broker 3");
}

#[test]
fn the_order_in_which_they_are_named_changes_nothing() {
    let states = [[1, 2, 3], [3, 1, 2], [2, 3, 1]].map(|order| {
        let (mut c, t) = cluster(5, 3);
        c.ok(&c.fencing(&order));
        c.state(t).clone()
    });
    assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
    assert_eq!(sorted(states[0].elr.clone()), ids(&[1, 2, 3]));
}

#[test]
fn who_was_fenced_before_stays_eligible_and_another_registration_is_passed_over() {
    let (mut c, t) = cluster(3, 3);
    c.fence(2);
    assert_eq!(c.state(t).elr, [b(2)]);
    let before = c.fencing(&[1]);
    back(&mut c, t, 1, 10);
    assert_eq!(c.ok(&before).0, [], "it has started again since");
    let unknown = EndedSession { broker_id: b(9), broker_epoch: BrokerEpoch(1) };
    let Command::FenceBrokers { mut brokers } = c.fencing(&[1, 2, 3]) else { panic!("another command") };
    brokers.push(unknown);
    c.ok(&Command::FenceBrokers { brokers: brokers.clone() });
    assert_eq!(sorted(c.state(t).elr.clone()), ids(&[1, 2, 3]));
    let refused = c.refused(&Command::FenceBrokers { brokers: vec![unknown; 1_001] });
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
}

#[test]
fn before_the_version_that_has_it_it_is_refused() {
    let mut c = Cluster::empty();
    let controllers = vec![ControllerVersions {
        controller_id: ControllerId(1),
        versions: Some(holdfast_metadata::version::SUPPORTED),
    }];
    c.ok(&Command::FinalizeVersion(FinalizeVersion { version: TRUST, controllers }));
    c.start(1, 1, 1);
    let refused = c.refused(&c.fencing(&[1]));
    assert_eq!(refused.code, ErrorCode::UnsupportedVersion);
    assert!(refused.message.contains(&format!("metadata version {}", MetadataVersion(TRUST.0 + 1))), "{refused}");
}
