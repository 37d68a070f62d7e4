//! Brokers leave in good order.

use holdfast_metadata::Command;
use holdfast_proto::error::ErrorCode;

use crate::cluster::{Cluster, b};

#[test]
fn leaders_move_and_the_isr_does_without() {
    let mut c = Cluster::new(3);
    let led = c.topic("led", 1, 3, &[]);
    let followed = c.topic("followed", 1, 3, &[]);
    assert_eq!((c.shown(led), c.shown(followed)), ("1 @0/0 isr 1,2,3 elr -".into(), "2 @0/0 isr 2,3,1 elr -".into()));
    assert_eq!(c.leave(1), 0);
    assert_eq!(c.shown(led), "2 @1/1 isr 2,3 elr -");
    assert_eq!(c.shown(followed), "2 @0/1 isr 2,3 elr -");
    // It cannot come back into an ISR, and is not made live again under this registration.
    assert_eq!(c.alter(led, &[1, 2, 3]), Err(ErrorCode::IneligibleReplica));
    c.fence(1);
    let unfence = Command::UnfenceBroker { broker_id: b(1), broker_epoch: c.epoch(1) };
    assert_eq!(c.refused(&unfence).code, ErrorCode::ShuttingDown);
    c.restart(1);
    c.unfence(1);
    assert_eq!(c.alter(led, &[1, 2, 3]).as_deref(), Ok("2 @1/2 isr 1,2,3 elr -"));
}

#[test]
fn writes_go_on_until_the_leaver_has_stopped() {
    let mut c = Cluster::new(2);
    let t = c.topic("t", 1, 2, &[]);
    // Without the leaver the ISR would be below min ISR: it hands over, but follows on until it stops.
    assert_eq!(c.leave(1), 0);
    assert_eq!(c.shown(t), "2 @1/1 isr 1,2 elr -");
    c.fence(1);
    assert_eq!(c.shown(t), "2 @1/2 isr 2 elr 1");
}

#[test]
fn the_last_in_sync_replica_leads_on_until_someone_catches_up() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[("min.insync.replicas", "1")]);
    assert_eq!(c.alter(t, &[1]).as_deref(), Ok("1 @0/1 isr 1 elr -"));
    assert_eq!(c.leave(1), 1, "nobody else may lead");
    assert_eq!(c.shown(t), "1 @0/1 isr 1 elr -");
    // The proposal that lets broker 3 in also hands the leadership over.
    assert_eq!(c.alter(t, &[1, 3]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(c.shown(t), "3 @1/2 isr 3 elr -");
    assert_eq!(c.leave(1), 0);
}

#[test]
fn a_leaving_replica_leads_if_it_is_the_only_one_left() {
    let mut c = Cluster::new(2);
    let t = c.topic("t", 1, 2, &[]);
    c.leave(2);
    assert_eq!(c.shown(t), "1 @0/0 isr 1,2 elr -");
    c.fence(1);
    assert_eq!(c.shown(t), "2 @1/1 isr 2 elr 1");
    // Fencing of the last one leaves both eligible; the one that comes back first leads.
    c.fence(2);
    assert_eq!(c.shown(t), "none @2/2 isr - elr 1,2");
    c.unfence(1);
    assert_eq!(c.shown(t), "1 @3/3 isr 1 elr 2");
}

#[test]
fn a_whole_cluster_may_leave_at_once() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!((c.leave(1), c.leave(2), c.leave(3)), (0, 0, 1));
    assert_eq!(c.shown(t), "3 @2/2 isr 2,3 elr -");
    for n in [1, 2, 3] {
        c.fence(n);
    }
    assert_eq!(c.shown(t), "none @3/4 isr - elr 2,3");
}
