//! An operator says that the disk of a broker that is gone will not come back.

use holdfast_metadata::{
    Command, RegisterBroker, Response, recover_controllers,
    recovery::RecoverControllers,
    trust::{Distrust, DistrustReason, LostDisk, ReplicaReport, Vouch},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, ControllerId, LeaderEpoch, MetadataIndex, Offset, PartitionIndex, TopicId},
};

use crate::cluster::{Cluster, b};

/// In sync were 2 and 3 of three replicas, min ISR 2; all are gone.
fn all_gone() -> (Cluster, TopicId) {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    c.fence(1);
    c.ok(&c.fencing(&[2, 3]));
    assert_eq!(c.state(t).elr, [b(2), b(3)]);
    (c, t)
}

/// Three brokers with a replica each, a fourth without one, and the controllers recovered: nobody has said anything yet.
fn unsettled() -> (Cluster, TopicId) {
    let mut c = Cluster::with_tokens(4);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    c.form();
    let order = RecoverControllers {
        controller_id: ControllerId(1),
        term: 3,
        committed: MetadataIndex(2),
        given_up: vec![ControllerId(2)],
        without: Vec::new(),
        expected: Vec::new(),
        at_ms: 7,
    };
    let image = recover_controllers(&c.image, &order).expect("recovered");
    c.replace(image);
    (c, t)
}

fn report(topic_id: TopicId, end: u64, vouch: Vouch) -> ReplicaReport {
    let leader_epoch = Some(LeaderEpoch(0));
    ReplicaReport { topic_id, partition: PartitionIndex(0), leader_epoch, end: Offset(end), vouch }
}

/// Broker `n` starts again on its disk, says this, and serves.
fn back(c: &mut Cluster, n: u32, reports: &[ReplicaReport]) {
    let boot = c.image.broker(b(n)).expect("it registered").boot_counter + 1;
    let registration = c.proving(n, boot, reports);
    c.ok(&Command::RegisterBroker(registration));
    c.unfence(n);
}

fn lose(c: &Cluster, n: u32) -> Command {
    Command::LoseDisk { broker_id: b(n), broker_epoch: c.epoch(n), at_ms: 5 }
}

/// What it came to: replicas, those that were eligible, partitions that are led by it.
fn lost(c: &mut Cluster, n: u32) -> (u32, u32, u32) {
    match c.ok(&lose(c, n)).1 {
        Response::DiskLost { lost: LostDisk { replicas, eligible, led, .. } } => (replicas, eligible, led),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_waits_for_a_disk_that_is_given_up_and_who_is_whole_leads() {
    let (mut c, t) = all_gone();
    back(&mut c, 2, &[report(t, 10, Vouch::Full)]);
    assert_eq!(c.state(t).leader, None, "broker 3 may hold more");
    assert_eq!(lost(&mut c, 3), (1, 1, 1));
    assert_eq!(c.state(t).leader, Some(b(2)));
    assert_eq!(c.state(t).distrusted, [Distrust { broker_id: b(3), reason: DistrustReason::Vanished }]);
    assert_eq!(lost(&mut c, 3), (0, 0, 0), "again changes nothing");
    let (broker_id, broker_epoch) = (b(3), c.epoch(3));
    let kept = LostDisk { broker_id, broker_epoch, replicas: 1, eligible: 1, led: 1, at_ms: 5 };
    assert_eq!(c.image.lost_disks(), [kept], "it is on record, once");
    // It comes back all the same, and counts once it was copied again.
    back(&mut c, 3, &[report(t, 10, Vouch::Full)]);
    let comes_back = Distrust { broker_id: b(3), reason: DistrustReason::Folder };
    assert_eq!((c.state(t).elr.len(), &c.state(t).distrusted[..]), (0, &[comes_back][..]));
    c.alter(t, &[2, 3]).expect("it was copied again");
    assert_eq!(c.state(t).distrusted, []);
}

#[test]
fn a_process_whose_disk_was_given_up_has_to_start_again() {
    let (mut c, _) = all_gone();
    lost(&mut c, 3);
    let (broker_id, broker_epoch) = (b(3), c.epoch(3));
    let refused = c.refused(&Command::UnfenceBroker { broker_id, broker_epoch });
    assert_eq!(refused.code, ErrorCode::BrokerIdNotRegistered, "{}", refused.message);
    back(&mut c, 3, &[]);
    assert!(c.image.broker(b(3)).is_some_and(|broker| !broker.fenced));
}

#[test]
fn a_replica_that_was_cut_does_not_lead_because_another_disk_is_given_up() {
    let (mut c, t) = all_gone();
    back(&mut c, 2, &[report(t, 10, Vouch::Doubtful)]);
    assert_eq!(lost(&mut c, 3), (1, 1, 0));
    assert_eq!((c.state(t).leader, &c.state(t).elr[..]), (None, &[b(2)][..]));
}

#[test]
fn an_unsettled_partition_waits_for_it_no_more_also_if_it_held_no_replica() {
    let (mut c, t) = unsettled();
    for (n, end) in [(1, 8), (2, 9)] {
        back(&mut c, n, &[report(t, end, Vouch::Full)]);
    }
    assert_eq!(lost(&mut c, 4), (0, 0, 0));
    assert!(c.image.unheard_brokers().eq([b(3)]));
    assert_eq!(c.state(t).leader, None, "broker 3 may hold more");
    assert_eq!(lost(&mut c, 3), (1, 1, 1));
    assert_eq!(c.state(t).leader, Some(b(2)));
    let (mut c, t) = unsettled();
    for n in 1..=3 {
        back(&mut c, n, &[report(t, n.into(), Vouch::Full)]);
    }
    assert_eq!((c.state(t).leader, lost(&mut c, 4)), (None, (0, 0, 1)), "broker 4 may have been given a replica");
    assert_eq!(c.state(t).leader, Some(b(3)));
    let (mut c, t) = unsettled();
    back(&mut c, 1, &[report(t, 8, Vouch::Full)]);
    for n in 2..=4 {
        lost(&mut c, n);
    }
    assert_eq!(c.state(t).leader, None, "two disks that are gone may hold what it lacks");
}

#[test]
fn it_comes_to_what_it_would_if_the_disk_were_empty() {
    let vouches = [Vouch::Full, Vouch::Doubtful, Vouch::Unread, Vouch::Not(DistrustReason::Damaged)];
    let says: Vec<Option<(u64, Vouch)>> =
        [None].into_iter().chain([8, 10].into_iter().flat_map(|end| vouches.map(|vouch| Some((end, vouch))))).collect();
    let mut led = 0;
    for begin in [unsettled as fn() -> _, all_gone, one_after_the_other] {
        for first in &says {
            for second in &says {
                let (mut c, t) = begin();
                if c.image.broker(b(4)).is_some() {
                    back(&mut c, 4, &[]);
                }
                for (n, said) in [(1, first), (2, second)] {
                    if let Some((end, vouch)) = *said {
                        back(&mut c, n, &[report(t, end, vouch)]);
                    }
                }
                let mut empty = c.clone();
                let other = empty.registration(3, 1, 99);
                let registration = RegisterBroker { folder: empty.proving(3, 1, &[]).folder, ..other };
                empty.ok(&Command::RegisterBroker(registration));
                lost(&mut c, 3);
                let of = |c: &Cluster| (c.state(t).leader, c.state(t).isr.clone(), c.state(t).elr.clone());
                assert_eq!(of(&c), of(&empty), "{first:?}, {second:?}");
                led += u32::from(c.state(t).leader.is_some());
            }
        }
    }
    assert!(led > 40, "{led}: else nothing is compared");
}

/// All are gone; 3 was in sync last, and alone.
fn one_after_the_other() -> (Cluster, TopicId) {
    let mut c = Cluster::with_tokens(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
    for n in 1..=3 {
        c.fence(n);
    }
    (c, t)
}

#[test]
fn neither_of_a_live_broker_nor_of_another_registration_nor_of_nobody() {
    let (mut c, t) = all_gone();
    let seen = lose(&c, 3);
    back(&mut c, 3, &[report(t, 10, Vouch::Full)]);
    assert_eq!(c.refused(&seen).code, ErrorCode::StaleBrokerEpoch, "it has started again since");
    assert_eq!(c.refused(&lose(&c, 3)).code, ErrorCode::InvalidRequest, "it is alive");
    let unknown = Command::LoseDisk { broker_id: b(9), broker_epoch: BrokerEpoch(1), at_ms: 5 };
    assert_eq!(c.refused(&unknown).code, ErrorCode::BrokerIdNotRegistered);
    assert_eq!((c.state(t).distrusted.len(), c.image.lost_disks().len()), (0, 0));
}
