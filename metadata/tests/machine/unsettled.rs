//! Which voices count for a partition of which nobody knows who was in sync: replicas where the metadata places them, and those
//! that were found elsewhere.

use holdfast_metadata::{
    AlterReplicas, Command, DistrustReplicas, DistrustedReplica, RegisterBroker, ReplicaMove, Response,
    recover_controllers,
    trust::{Distrust, DistrustReason, ReplicaReport, Vouch},
};
use holdfast_proto::ids::{BrokerId, Offset, PartitionIndex, TopicId};

use crate::{
    cluster::{Cluster, b},
    recovery::{back, formed, leader, order, recovered, report},
};

/// The controllers go on from what they have now.
fn recover(c: &mut Cluster) {
    c.replace(recover_controllers(&c.image, &order(&[])).expect("recovered"));
}

fn begin_move(c: &mut Cluster, topic_id: TopicId, replicas: &[u32]) {
    let new_replicas = replicas.iter().copied().map(b).collect();
    let moves = vec![ReplicaMove { topic_id, partition: PartitionIndex(0), new_replicas }];
    c.ok(&Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: None }));
}

fn distrust(c: &mut Cluster, topic_id: TopicId, n: u32) {
    let partition_epoch = c.state(topic_id).partition_epoch;
    let reason = DistrustReason::Damaged;
    let replica = DistrustedReplica { topic_id, partition: PartitionIndex(0), partition_epoch, reason };
    let (broker_id, broker_epoch) = (b(n), c.epoch(n));
    c.ok(&Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch, replicas: vec![replica] }));
}

/// Broker `n` comes with its folder as it was at its last start that is known: an older state of it.
fn restored(c: &mut Cluster, n: u32, reports: &[ReplicaReport]) {
    let boot = c.image.broker(b(n)).expect("it registered").boot_counter;
    let registration = c.proving(n, boot, reports);
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

/// Broker `n` comes with another folder.
fn replaced(c: &mut Cluster, n: u32, reports: &[ReplicaReport]) {
    let other = c.registration(n, 1, 900);
    let registration = RegisterBroker { folder: c.proving(n, 1, reports).folder, ..other };
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

fn lose(c: &mut Cluster, n: u32) {
    c.ok(&Command::LoseDisk { broker_id: b(n), broker_epoch: c.epoch(n), at_ms: 5 });
}

fn not_believed(c: &Cluster, t: TopicId) -> Vec<(BrokerId, DistrustReason)> {
    c.state(t).distrusted.iter().map(|Distrust { broker_id, reason }| (*broker_id, *reason)).collect()
}

#[test]
fn a_replica_that_an_old_move_was_to_take_away_is_none_that_was_found() {
    // The move waits for 1; then, as nobody knows any more, it was cancelled, and 1 and 2 moved to 4 and 5.
    let (mut c, t) = formed(3);
    c.fence(1);
    c.unfence(1);
    begin_move(&mut c, t, &[1, 2]);
    assert_eq!(c.state(t).removing, [b(3)]);
    recover(&mut c);
    back(&mut c, 1, &[]);
    back(&mut c, 2, &[]);
    back(&mut c, 3, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), None, "4 and 5 may have been in sync without it: {:?}", c.state(t));
    back(&mut c, 4, &[report(t, 0, 90)]);
    assert_eq!(leader(&c, t), Some(b(4)), "5 alone is none of two in sync");
}

/// Nobody knows any more: 1 led without a record of its own, and what it and 2 hold of an earlier leader was acknowledged. The
/// record of 3 is of a leader between the two, and was not.
#[test]
fn what_a_leader_without_a_record_of_its_own_acknowledged_is_not_given_up_for_a_later_record() {
    let (mut c, t) = formed(3);
    recover(&mut c);
    back(&mut c, 1, &[report(t, 5, 11)]);
    back(&mut c, 2, &[report(t, 5, 11)]);
    back(&mut c, 3, &[report(t, 6, 11)]);
    assert_eq!(leader(&c, t), None, "two may have acknowledged without 3: {:?}", c.state(t));
}

#[test]
fn one_that_does_not_hold_it_is_away_and_not_short() {
    // Nobody knows any more: 3 moved to 4. The disk of 1 is lost.
    let (mut c, t) = formed(4);
    c.fence(2);
    c.fence(3);
    let mut alone = c.proposal(t, &[1]);
    alone.changes[0].high_watermark = Some(Offset(80));
    c.propose(alone).expect("accepted");
    recover(&mut c);
    back(&mut c, 2, &[report(t, 0, 90)]);
    back(&mut c, 3, &[]);
    lose(&mut c, 1);
    assert_eq!(leader(&c, t), None, "4 may hold more: {:?}", c.state(t));
    back(&mut c, 4, &[report(t, 0, 95)]);
    assert_eq!(leader(&c, t), Some(b(4)), "{:?}", c.state(t));
    assert_eq!(not_believed(&c, t), [(b(1), DistrustReason::Vanished)]);
}

#[test]
fn nor_is_it_where_another_replica_was_not_believed() {
    // Nobody knows any more: 1 was copied again, 2 moved to 4, and 1 and 4 were in sync. The disk of 4 is lost.
    let (mut c, t) = formed(4);
    distrust(&mut c, t, 1);
    begin_move(&mut c, t, &[1, 2]);
    assert_eq!((&c.state(t).removing[..], c.state(t).distrusted.len()), (&[b(3)][..], 1));
    recover(&mut c);
    back(&mut c, 1, &[report(t, 0, 90)]);
    back(&mut c, 2, &[]);
    lose(&mut c, 4);
    back(&mut c, 3, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), None, "1 and 4 may have been in sync without it: {:?}", c.state(t));
}

#[test]
fn what_was_found_stays_so_by_another_recovery() {
    let (mut c, t) = recovered(4, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[]);
    }
    back(&mut c, 4, &[report(t, 2, 44)]);
    recover(&mut c);
    for n in 1..=3 {
        back(&mut c, n, &[]);
    }
    back(&mut c, 4, &[report(t, 2, 44)]);
    assert_eq!(leader(&c, t), None, "two others may have been in sync without it: {:?}", c.state(t));
    back(&mut c, 5, &[report(t, 2, 45)]);
    assert_eq!(leader(&c, t), Some(b(5)), "one of them was in every ISR of two");
}

#[test]
fn of_another_or_an_older_folder_no_replica_is_believed_wherever_it_is_found() {
    for come in [restored, replaced] {
        // Nobody knows any more: 1 was copied again, 2 and 3 moved to 4 and 5, and 1 and 4 were in sync.
        let (mut c, t) = formed(5);
        distrust(&mut c, t, 1);
        recover(&mut c);
        back(&mut c, 1, &[report(t, 0, 90)]);
        back(&mut c, 2, &[]);
        back(&mut c, 3, &[]);
        come(&mut c, 4, &[report(t, 0, 60)]);
        back(&mut c, 5, &[report(t, 0, 50)]);
        let state = c.state(t);
        assert_eq!(state.leader, None, "1 alone may hold what was acknowledged: {state:?}");
        assert_eq!(not_believed(&c, t), [(b(1), DistrustReason::Folder), (b(4), DistrustReason::Folder)]);
        assert_eq!(c.state(t).claim(b(4)).map(|claim| claim.end), Some(Offset(60)), "an operator may choose it");
        assert_eq!(c.recover(t, 1).end, Some(Offset(90)));
    }
}

#[test]
fn one_folder_that_is_not_believed_holds_nobody_up() {
    let (mut c, t) = recovered(6, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[]);
    }
    restored(&mut c, 4, &[report(t, 0, 40)]);
    back(&mut c, 5, &[report(t, 0, 60)]);
    assert_eq!(leader(&c, t), None, "broker 6 may hold more");
    back(&mut c, 6, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), Some(b(5)));
    c.fence(6);
    assert_eq!(c.state(t).target(), [b(1), b(2), b(3)]);
}

#[test]
fn nobody_leads_whom_one_outreaches_that_was_not_believed_and_may_have_been_copied_since() {
    // Nobody knows any more: 1 was copied again, 2 moved to 4, and 1 and 4 were in sync. 2 did not learn of it, 4 has another disk.
    let (mut c, t) = formed(4);
    distrust(&mut c, t, 1);
    recover(&mut c);
    back(&mut c, 1, &[report(t, 1, 90)]);
    back(&mut c, 2, &[report(t, 0, 60)]);
    back(&mut c, 3, &[report(t, 0, 50)]);
    replaced(&mut c, 4, &[]);
    assert_eq!(leader(&c, t), None, "1 alone has what was acknowledged since: {:?}", c.state(t));
    assert_eq!(c.recover(t, 1).broker_id, b(1));
    // Once its disk is given up it holds nobody up, nor does what its broker does not vouch for.
    let (mut c, t) = formed(3);
    distrust(&mut c, t, 1);
    recover(&mut c);
    back(&mut c, 1, &[report(t, 1, 90)]);
    back(&mut c, 2, &[report(t, 0, 60)]);
    back(&mut c, 3, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), None, "{:?}", c.state(t));
    c.fence(1);
    lose(&mut c, 1);
    assert_eq!(leader(&c, t), Some(b(2)), "{:?}", c.state(t));
    let (mut c, t) = formed(3);
    distrust(&mut c, t, 1);
    recover(&mut c);
    let damaged = Vouch::Not(DistrustReason::Damaged);
    back(&mut c, 1, &[ReplicaReport { vouch: damaged, ..report(t, 1, 90) }]);
    back(&mut c, 2, &[report(t, 0, 60)]);
    back(&mut c, 3, &[report(t, 0, 50)]);
    assert_eq!(leader(&c, t), Some(b(2)));
}

#[test]
fn a_moved_replica_that_its_broker_does_not_vouch_for_can_be_chosen() {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    c.form();
    let [placed] = c.state(t).replicas[..] else { panic!("{:?}", c.state(t)) };
    let [holder, other] = [1, 2, 3].into_iter().filter(|n| b(*n) != placed).collect::<Vec<_>>()[..] else { panic!() };
    recover(&mut c);
    back(&mut c, placed.0, &[]);
    back(&mut c, other, &[]);
    let damaged = Vouch::Not(DistrustReason::Damaged);
    back(&mut c, holder, &[ReplicaReport { vouch: damaged, ..report(t, 0, 900) }]);
    assert_eq!((leader(&c, t), &not_believed(&c, t)[..]), (None, &[(b(holder), DistrustReason::Damaged)][..]));
    let (recovery, state) = (c.recover(t, holder), c.state(t));
    assert_eq!((recovery.end, state.leader), (Some(Offset(900)), Some(b(holder))), "{state:?}");
    assert!(state.replicas.contains(&placed) && !state.is_moving() && state.found.is_empty(), "{state:?}");
}

#[test]
fn what_comes_once_another_leads_is_on_record_and_counts_for_nothing() {
    // Nobody knows any more: all moved to 4, 5 and 6. 1, 2 and 3 did not learn of it.
    let (mut c, t) = recovered(3, &[]);
    for n in 1..=3 {
        back(&mut c, n, &[report(t, 0, 50)]);
    }
    let led = c.state(t).clone();
    assert!(led.leader.is_some(), "nothing tells of the others: {led:?}");
    back(&mut c, 4, &[report(t, 7, 90)]);
    back(
        &mut c,
        5,
        &[ReplicaReport { vouch: Vouch::Not(DistrustReason::Damaged), leader_epoch: None, ..report(t, 0, 0) }],
    );
    back(&mut c, 6, &[ReplicaReport { leader_epoch: None, ..report(t, 0, 0) }]);
    let strays =
        |c: &Cluster| c.state(t).strays().map(|claim| (claim.broker_id, claim.end, claim.doubtful)).collect::<Vec<_>>();
    assert_eq!(strays(&c), [(b(4), Offset(90), false), (b(5), Offset(0), true)]);
    let state = c.state(t);
    assert_eq!((state.leader, &state.replicas, &state.elr), (led.leader, &led.replicas, &led.elr), "{state:?}");
    // No move brings the partition there: the log would be cut to what the leader holds.
    let moves = |n: u32| {
        let partition = PartitionIndex(0);
        let moves = vec![ReplicaMove { topic_id: t, partition, new_replicas: [1, 2, n].map(b).to_vec() }];
        Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: None })
    };
    let (_, Response::ReplicasAltered { results }) = c.ok(&moves(4)) else { panic!("another answer") };
    let refused = results[0].as_ref().expect_err("it holds a log of before");
    assert!(refused.message.contains("broker 4 holds a log of it from before"), "{refused}");
    // It stays so whatever becomes of the others, and is no choice.
    for n in 1..=3 {
        c.fence(n);
    }
    assert_eq!((leader(&c, t), strays(&c).len()), (None, 2));
    assert!(c.refused(&c.recovering(t, 4)).message.contains("has no replica"), "{:?}", c.state(t));
    let first = led.leader.expect("led");
    c.unfence(first.0);
    assert_eq!(leader(&c, t), Some(first));
    // Until its broker says something else: that its folder is gone, as it was moved away; or is gone itself.
    let vanished = Vouch::Not(DistrustReason::Vanished);
    back(&mut c, 4, &[ReplicaReport { vouch: vanished, leader_epoch: None, ..report(t, 0, 0) }]);
    assert_eq!(strays(&c), [(b(5), Offset(0), true)]);
    c.fence(5);
    lose(&mut c, 5);
    assert_eq!(strays(&c), []);
    // What was written since is not from before.
    let epoch = c.state(t).leader_epoch.0;
    back(&mut c, 4, &[report(t, epoch, 120)]);
    assert_eq!(strays(&c), [], "it moved away by what is known");
}

#[test]
fn a_replica_that_leaves_is_no_stray() {
    let (mut c, t) = recovered(4, &[]);
    for (n, end) in [(1, 50), (2, 50), (3, 50), (4, 40)] {
        back(&mut c, n, &[report(t, 0, end)]);
    }
    assert_eq!(c.state(t).removing, [b(4)]);
    c.alter(t, &[1, 2, 3]).expect("they copied it");
    let state = c.state(t);
    assert_eq!((&state.replicas[..], &state.claims[..], state.is_moving()), (&[b(1), b(2), b(3)][..], &[][..], false));
}

#[test]
fn nobody_chooses_while_a_broker_that_is_known_may_hold_more() {
    let (mut c, t) = recovered(5, &[4]);
    back(&mut c, 1, &[report(t, 0, 50)]);
    back(&mut c, 2, &[]);
    lose(&mut c, 3);
    let refused = c.refused(&c.recovering(t, 1));
    assert!(refused.message.contains("broker 5 has not said since"), "{refused}");
    lose(&mut c, 5);
    assert_eq!(leader(&c, t), None);
    assert_eq!(c.recover(t, 1).end, Some(Offset(50)));
}

#[test]
fn a_high_watermark_of_before_is_kept_as_one() {
    for (is_recovered, end) in [(true, 90), (true, 70), (false, 70)] {
        let (mut c, t) = formed(3);
        for n in [2, 3] {
            c.fence(n);
        }
        let mut alone = c.proposal(t, &[1]);
        alone.changes[0].high_watermark = Some(Offset(80));
        c.ok(&Command::AlterPartition(alone));
        if is_recovered {
            recover(&mut c);
        } else {
            c.fence(1);
        }
        back(&mut c, 2, &[report(t, 0, end)]);
        for n in [1, 3] {
            lose(&mut c, n);
        }
        let recovery = c.recover(t, 2);
        assert_eq!((recovery.end, recovery.high_watermark), (Some(Offset(end)), Some(Offset(80))));
        assert_eq!(recovery.high_watermark_is_old, is_recovered);
    }
}
