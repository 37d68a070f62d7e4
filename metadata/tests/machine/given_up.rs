//! Where nobody is believed an operator decides, and what is given up is kept.

use holdfast_metadata::{
    AlterReplicas, Command, Record, RegisterBroker, ReplicaMove, Response,
    trust::{DistrustReason, Vouch},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{Offset, PartitionIndex},
};

use crate::{
    cluster::{Cluster, b},
    trust::{all_gone, back, report, standing, three},
};

#[test]
fn what_nobody_can_decide_an_operator_can_and_it_is_kept() {
    let (mut c, t) = three();
    all_gone(&mut c, t, 100);
    back(&mut c, 2, &[report(t, 0, 60, Vouch::Full)]);
    let stale = c.recovering(t, 2);
    back(&mut c, 3, &[report(t, 0, 40, Vouch::Full)]);
    assert_eq!(c.refused(&stale).code, ErrorCode::InvalidUpdateVersion);
    let of_the_absent = c.recovering(t, 1);
    assert_eq!(c.refused(&of_the_absent).code, ErrorCode::InvalidRequest);
    let command = c.recovering(t, 2);
    let (records, response) = c.ok(&command);
    let Response::PartitionRecovered { recovery } = response else { panic!("{response:?}") };
    assert_eq!(
        (recovery.end, recovery.high_watermark, &recovery.absent[..]),
        (Some(Offset(60)), Some(Offset(100)), &[b(1)][..])
    );
    assert_eq!(records[0], Record::PartitionRecovery(recovery.clone()));
    assert_eq!(standing(&c, t).split_once(' ').map(|(leader, _)| leader), Some("2"));
    assert_eq!(c.image.recoveries(), [recovery]);
    let again = c.recovering(t, 2);
    assert_eq!(c.refused(&again).code, ErrorCode::InvalidRequest, "it is led");
}

#[test]
fn where_nobody_is_believed_it_is_known_how_far_each_reaches() {
    let (mut c, t) = three();
    let copies: Vec<_> = (1..=3).map(|n| c.proving(n, 9, &[report(t, 1, 50 + u64::from(n), Vouch::Full)])).collect();
    for n in 1..=3 {
        c.fence(n);
        back(&mut c, n, &[report(t, 1, 90, Vouch::Full)]);
    }
    (1..=3).for_each(|n| drop(c.fence(n)));
    for (n, mut copy) in (1..).zip(copies) {
        copy.replaces = Some(c.epoch(n));
        c.ok(&Command::RegisterBroker(copy));
        c.unfence(n);
    }
    assert_eq!(standing(&c, t), "none isr - elr -", "an older state of a disk leads nothing, whatever it says");
    let ends: Vec<_> = c.state(t).claims.iter().map(|claim| (claim.broker_id, claim.end)).collect();
    assert_eq!(ends, [(b(1), Offset(51)), (b(2), Offset(52)), (b(3), Offset(53))]);
    let recovery = c.recover(t, 3);
    assert_eq!(recovery.end, Some(Offset(53)));
    assert_eq!((c.state(t).leader, c.state(t).claims.len()), (Some(b(3)), 0), "the others are copied from it");
}

/// Its broker goes on with what can be read of it.
#[test]
fn a_replica_that_its_broker_does_not_vouch_for_shows_its_end_and_keeps_what_lies_before() {
    let (mut c, t) = three();
    all_gone(&mut c, t, 100);
    back(&mut c, 1, &[report(t, 1, 100, Vouch::Not(DistrustReason::Halted))]);
    back(&mut c, 2, &[report(t, 0, 0, Vouch::Not(DistrustReason::Damaged))]);
    assert_eq!(c.state(t).leader, None);
    let ends: Vec<_> = c.state(t).claims.iter().map(|claim| (claim.broker_id, claim.end, claim.doubtful)).collect();
    assert_eq!(ends, [(b(1), Offset(100), true)], "what is not known is not shown");
    let recovery = c.recover(t, 1);
    assert_eq!((recovery.end, recovery.high_watermark), (Some(Offset(100)), Some(Offset(100))));
}

#[test]
fn who_reaches_farthest_is_recovered_with_whether_it_is_believed_or_not() {
    let (mut c, t) = three();
    all_gone(&mut c, t, 100);
    // An older folder, a replica that is gone, and one that is damaged.
    let copy = c.proving(1, 2, &[report(t, 3, 90, Vouch::Full)]);
    let directory_id = c.registration(1, 2, 77).directory_id;
    c.ok(&Command::RegisterBroker(RegisterBroker { directory_id, ..copy }));
    c.unfence(1);
    back(&mut c, 2, &[report(t, 0, 0, Vouch::Not(DistrustReason::Vanished))]);
    back(&mut c, 3, &[report(t, 3, 40, Vouch::Not(DistrustReason::Damaged))]);
    for (n, better) in [(2, "broker 1 reaches farther, to offset 90"), (3, "broker 1 reaches farther, to offset 90")] {
        let refused = c.refused(&c.recovering(t, n));
        assert!(refused.message.contains(better), "{}", refused.message);
    }
    c.fence(1);
    let refused = c.refused(&c.recovering(t, 2));
    assert!(refused.message.contains("broker 3 reaches farther, to offset 40"), "{}", refused.message);
    assert_eq!(c.recover(t, 3).end, Some(Offset(40)));
}

#[test]
fn a_recovery_in_a_move_drops_no_replica() {
    let mut c = Cluster::with_tokens(2);
    let t = c.topic("t", 1, 1, &[]);
    let from = c.state(t).leader.expect("led");
    let to = b(if from == b(1) { 2 } else { 1 });
    let partition = PartitionIndex(0);
    let moves = vec![ReplicaMove { topic_id: t, partition, new_replicas: vec![to] }];
    c.ok(&Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: None }));
    assert_eq!((c.state(t).adding.clone(), c.state(t).removing.clone()), (vec![to], vec![from]));
    c.fence(from.0);
    assert_eq!(c.state(t).leader, None, "the other has not copied everything");
    c.recover(t, to.0);
    let state = c.state(t);
    assert_eq!((state.leader, &state.isr[..], state.is_moving()), (Some(to), &[to][..], false));
    assert!(state.replicas.contains(&from), "it holds what is given up, and is not to be deleted: {state:?}");
}
