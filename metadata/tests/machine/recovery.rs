//! The controllers go on from one of them: nothing is given out again, and no partition has a leader before its logs were
//! heard.

use holdfast_metadata::{
    AlterReplicas, AlterTopic, Command, DistrustReplicas, DistrustedReplica, Image, RecoveryError, ReplicaMove,
    Response, recover_controllers,
    recovery::{INDEX_LEAP, LEADER_EPOCH_LEAP, RecoverControllers},
    trust::{DistrustReason, ReplicaReport, Vouch},
    version::RECOVERY,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, ControllerId, LeaderEpoch, MetadataIndex, Offset, PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, b};

pub(crate) fn report(topic_id: TopicId, epoch: u32, end: u64) -> ReplicaReport {
    let leader_epoch = Some(LeaderEpoch(epoch));
    ReplicaReport { topic_id, partition: PartitionIndex(0), leader_epoch, end: Offset(end), vouch: Vouch::Full }
}

pub(crate) fn order(without: &[u32]) -> RecoverControllers {
    RecoverControllers {
        controller_id: ControllerId(1),
        term: 3,
        committed: MetadataIndex(2),
        given_up: vec![ControllerId(2), ControllerId(3)],
        without: without.iter().copied().map(BrokerId).collect(),
        expected: Vec::new(),
        at_ms: 7,
    }
}

/// `brokers` brokers, a topic on the first three with min ISR 2.
pub(crate) fn formed(brokers: u32) -> (Cluster, TopicId) {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    for n in 4..=brokers {
        let registration = c.proving(n, 1, &[]);
        c.ok(&Command::RegisterBroker(registration));
        c.unfence(n);
    }
    c.form();
    (c, t)
}

/// The same, and the controllers recovered.
pub(crate) fn recovered(brokers: u32, without: &[u32]) -> (Cluster, TopicId) {
    let (mut c, t) = formed(brokers);
    let image = recover_controllers(&c.image, &order(without)).expect("recovered");
    c.replace(image);
    (c, t)
}

/// Broker `n` starts again, and serves.
pub(crate) fn back(c: &mut Cluster, n: u32, reports: &[ReplicaReport]) {
    let boot = c.image.broker(b(n)).map_or(1, |broker| broker.boot_counter + 1);
    let registration = c.proving(n, boot, reports);
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

pub(crate) fn leader(c: &Cluster, t: TopicId) -> Option<BrokerId> {
    c.state(t).leader
}

#[test]
fn every_number_goes_on_far_above_and_no_registration_counts() {
    let (c, t) = recovered(3, &[]);
    let recovery = &c.image.controller_recoveries()[0];
    assert_eq!(c.image.index().0, recovery.index.0 + INDEX_LEAP);
    assert_eq!(c.image.version(), RECOVERY);
    let state = c.state(t);
    assert!(state.unsettled && state.leader.is_none() && state.isr.is_empty() && state.elr.len() == 3, "{state:?}");
    assert!(state.leader_epoch.0 >= LEADER_EPOCH_LEAP);
    let snapshot = Image::from_records(c.image.index(), &c.image.records()).expect("a snapshot fits");
    assert_eq!(snapshot, c.image);
    let mut c = c;
    let broker_epoch = c.epoch(1);
    let refused = c.refused(&Command::UnfenceBroker { broker_id: b(1), broker_epoch });
    assert_eq!(refused.code, ErrorCode::StaleBrokerEpoch, "it has to register again");
}

#[test]
fn nothing_that_elections_count_by_changes_while_a_partition_is_unsettled() {
    let (mut c, t) = recovered(4, &[3]);
    back(&mut c, 1, &[report(t, 0, 90)]);
    let wanted = ReplicaMove { topic_id: t, partition: PartitionIndex(0), new_replicas: vec![b(1), b(2), b(4)] };
    let (_, response) =
        c.ok(&Command::AlterReplicas(AlterReplicas { moves: vec![wanted], move_bytes_per_second: None }));
    let Response::ReplicasAltered { results } = response else { panic!("{response:?}") };
    assert_eq!(results[0].as_ref().unwrap_err().code, ErrorCode::LeaderNotAvailable);
    let configs = [("min.insync.replicas".to_owned(), Some("3".to_owned()))].into();
    let raised = c.refused(&Command::AlterTopic(AlterTopic { topic_id: t, configs, partition_count: None }));
    assert_eq!(raised.code, ErrorCode::LeaderNotAvailable);
    assert_eq!(leader(&c, t), None);
}

#[test]
fn who_reaches_farthest_leads_once_all_were_heard_and_alone() {
    let (mut c, t) = recovered(3, &[]);
    back(&mut c, 1, &[report(t, 0, 90)]);
    back(&mut c, 2, &[report(t, 1, 80)]);
    assert_eq!(leader(&c, t), None, "broker 3 may hold more");
    back(&mut c, 3, &[report(t, 1, 70)]);
    let state = c.state(t);
    assert_eq!((state.leader, &state.isr[..], &state.elr[..]), (Some(b(2)), &[b(2)][..], &[][..]), "a later epoch");
    assert!(!state.unsettled);
    c.fence(2);
    assert_eq!(leader(&c, t), None, "the others may lack what was acknowledged");
    c.unfence(2);
    assert_eq!(leader(&c, t), Some(b(2)));
}

#[test]
fn brokers_without_a_replica_are_waited_for_and_one_that_moved_there_counts() {
    let (mut c, t) = recovered(4, &[]);
    back(&mut c, 1, &[report(t, 2, 40)]);
    back(&mut c, 2, &[]);
    back(&mut c, 3, &[]);
    assert_eq!(leader(&c, t), None, "their replicas may be elsewhere");
    back(&mut c, 4, &[report(t, 2, 50)]);
    let state = c.state(t);
    assert_eq!((state.leader, &state.removing[..]), (Some(b(4)), &[b(4)][..]), "{state:?}");
    assert_eq!(state.target(), [b(1), b(2), b(3)], "they copy it from there");
}

#[test]
fn who_has_no_replica_is_waited_for_though_all_that_have_one_agree() {
    let (mut c, t) = recovered(4, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[report(t, 2, 40)]);
    }
    assert_eq!(leader(&c, t), None, "it may have moved to broker 4, and been written to");
    back(&mut c, 4, &[report(t, 2, 50)]);
    assert_eq!(leader(&c, t), Some(b(4)));
}

#[test]
fn replicas_that_nobody_holds_are_elsewhere_and_nobody_leads_without_them() {
    let (mut c, t) = recovered(3, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[]);
    }
    assert_eq!(leader(&c, t), None, "it moved to brokers that the metadata does not know");
    back(&mut c, 4, &[report(t, 2, 44)]);
    assert_eq!(leader(&c, t), None, "two others may have been in sync without it");
    back(&mut c, 5, &[report(t, 2, 45)]);
    let state = c.state(t);
    assert_eq!((state.leader, &state.isr[..]), (Some(b(5)), &[b(5)][..]), "one of them was in every ISR of two");
}

#[test]
fn one_of_three_that_the_others_left_speaks_for_nobody() {
    let (mut c, t) = recovered(3, &[]);
    back(&mut c, 1, &[report(t, 0, 50)]);
    back(&mut c, 2, &[]);
    back(&mut c, 3, &[]);
    assert_eq!(leader(&c, t), None, "4 and 5 may have been in sync without it");
}

#[test]
fn a_high_watermark_of_before_the_controllers_were_recovered_elects_nobody_after_it() {
    let (mut c, t) = formed(3);
    c.fence(2);
    c.fence(3);
    let mut alone = c.proposal(t, &[1]);
    alone.changes[0].high_watermark = Some(Offset(80));
    c.ok(&Command::AlterPartition(alone));
    assert_eq!(c.state(t).frozen_high_watermark, Some(Offset(80)));
    c.replace(recover_controllers(&c.image, &order(&[])).expect("recovered"));
    back(&mut c, 1, &[report(t, 0, 500)]);
    back(&mut c, 2, &[report(t, 0, 90)]);
    back(&mut c, 3, &[report(t, 0, 90)]);
    let state = c.state(t);
    assert_eq!((state.leader, state.frozen_high_watermark), (Some(b(1)), None), "up to 500 may have been acknowledged");
}

#[test]
fn one_that_was_cut_leads_an_unsettled_partition_only_beside_a_whole_one_if_anybody_is_missing() {
    let cut = |t, end| ReplicaReport { vouch: Vouch::Doubtful, ..report(t, 0, end) };
    let (mut c, t) = recovered(3, &[2]);
    back(&mut c, 1, &[cut(t, 80)]);
    back(&mut c, 3, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), None, "2 and 1 may have held 100");
    let (mut c, t) = recovered(3, &[2]);
    back(&mut c, 1, &[cut(t, 80)]);
    back(&mut c, 3, &[report(t, 0, 80)]);
    assert!(leader(&c, t).is_some(), "3 is whole");
    let (mut c, t) = recovered(3, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[cut(t, 80 - u64::from(n))]);
    }
    assert_eq!(leader(&c, t), Some(b(1)), "what all of them lost was acknowledged by none");
}

#[test]
fn who_has_not_said_what_it_holds_is_not_forgotten_while_that_is_waited_for() {
    let (mut c, _) = recovered(4, &[]);
    let refused = c.refused(&Command::UnregisterBroker { broker_id: b(4) });
    assert!(refused.message.contains("disk-lost"), "{}", refused.message);
}

#[test]
fn a_broker_that_is_given_up_is_waited_for_no_more_and_too_few_never_elect() {
    let (mut c, t) = recovered(3, &[3]);
    back(&mut c, 1, &[report(t, 0, 5)]);
    assert_eq!(leader(&c, t), None);
    back(&mut c, 2, &[report(t, 0, 6)]);
    assert_eq!(leader(&c, t), Some(b(2)));
    let (mut c, t) = recovered(3, &[2, 3]);
    back(&mut c, 1, &[report(t, 0, 5)]);
    assert_eq!(leader(&c, t), None, "two that are gone may hold what it lacks");
}

#[test]
fn what_was_given_up_stays_so_by_another_recovery() {
    let (mut c, t) = recovered(4, &[3]);
    back(&mut c, 1, &[report(t, 0, 5)]);
    let image = recover_controllers(&c.image, &order(&[4])).expect("recovered again");
    assert_eq!(image.controller_recoveries()[1].without, [b(3), b(4)]);
    assert_eq!(image.unheard_brokers().collect::<Vec<_>>(), [b(1), b(2)]);
    c.replace(image);
    back(&mut c, 3, &[]);
    let image = recover_controllers(&c.image, &order(&[])).expect("recovered again");
    assert_eq!(image.controller_recoveries()[2].without, [b(4)], "broker 3 came back");
}

#[test]
fn a_replica_that_was_not_believed_is_not_believed_since() {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    c.form();
    let replica = DistrustedReplica {
        topic_id: t,
        partition: PartitionIndex(0),
        partition_epoch: c.state(t).partition_epoch,
        reason: DistrustReason::Damaged,
    };
    let (broker_id, broker_epoch) = (b(1), c.epoch(1));
    c.ok(&Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch, replicas: vec![replica] }));
    let image = recover_controllers(&c.image, &order(&[2])).expect("recovered");
    c.replace(image);
    // What it holds by now is a part of what it was to copy, and its broker vouches for that.
    back(&mut c, 1, &[report(t, 0, 70)]);
    back(&mut c, 3, &[report(t, 0, 60)]);
    assert_eq!(leader(&c, t), None, "{:?}", c.state(t));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut c = Cluster::with_tokens(1);
    assert_eq!(recover_controllers(&c.image, &order(&[])), Err(RecoveryError::NoCluster));
    c.form();
    assert!(matches!(recover_controllers(&c.image, &order(&[9])), Err(RecoveryError::UnknownBroker(BrokerId(9), _))));
}

#[test]
fn not_every_broker_is_given_up() {
    let mut c = Cluster::with_tokens(3);
    c.form();
    let refused = recover_controllers(&c.image, &order(&[3, 1, 2])).expect_err("nobody would be left");
    assert_eq!(refused, RecoveryError::EveryBroker("1, 2, 3".to_owned()));
    let image = recover_controllers(&c.image, &order(&[1, 2])).expect("one is left");
    c.replace(image);
    let refused =
        recover_controllers(&c.image, &order(&[3])).expect_err("two were given up before, and did not come back");
    assert!(refused.to_string().contains("no replica of any partition would be left"), "{refused}");
    recover_controllers(&c.image, &order(&[])).expect("nobody else is given up");
}
