//! The stories of Kafka's proposals, told to the machine.

use holdfast_proto::{error::ErrorCode, ids::BrokerEpoch};

use crate::cluster::Cluster;

/// KIP-497: the proposal of a leader that is out of date changes nothing.
#[test]
fn kip_497_a_stale_partition_epoch_is_refused() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    let stale = c.proposal(t, &[1, 3]);
    c.fence(2);
    assert_eq!(c.shown(t), "1 @0/1 isr 1,3 elr -");
    assert_eq!(c.propose(stale), Err(ErrorCode::InvalidUpdateVersion));
}

/// KIP-841: a fenced replica that still fetches from the leader does not get into the ISR.
#[test]
fn kip_841_a_fenced_replica_is_not_let_in() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    c.fence(3);
    assert_eq!(c.alter(t, &[1, 2, 3]), Err(ErrorCode::IneligibleReplica));
    c.fence(1);
    c.fence(2);
    c.unfence(3);
    assert_eq!(c.shown(t), "none @2/3 isr - elr 1,2", "3 must not lead");
    c.unfence(2);
    assert_eq!(c.shown(t), "2 @3/4 isr 2 elr 1");
}

/// KIP-903: the leader's proposal was made for a start of the follower that is over, and whose disk is gone.
#[test]
fn kip_903_a_wiped_follower_is_not_let_in_by_a_late_proposal() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    assert_eq!(c.alter(t, &[1, 2]).as_deref(), Ok("1 @0/1 isr 1,2 elr -"));
    let held = c.proposal(t, &[1, 2, 3]);
    c.start(3, 1, 33);
    c.unfence(3);
    assert_eq!(c.propose(held), Err(ErrorCode::IneligibleReplica));
    c.fence(1);
    c.fence(2);
    assert_eq!(c.shown(t), "none @2/3 isr - elr 1,2", "3, which is empty, must not lead");
}

/// KIP-966: the last replica standing loses power; the eligible one may lead, the one that fell out first may not.
#[test]
fn kip_966_last_replica_standing() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    c.fence(1);
    assert_eq!(c.shown(t), "2 @1/1 isr 2,3 elr -");
    c.fence(2);
    assert_eq!(c.shown(t), "3 @2/2 isr 3 elr 2");
    c.fence(3);
    assert_eq!(c.shown(t), "none @3/3 isr - elr 2,3");
    c.unfence(1);
    assert_eq!(c.shown(t), "none @3/3 isr - elr 2,3", "1 missed what 2 and 3 acknowledged");
    c.unfence(2);
    assert_eq!(c.shown(t), "2 @4/4 isr 2 elr 3");
    // The power loss: a new start on the same disk. It stays eligible, and comes back as a follower.
    c.restart(3);
    c.unfence(3);
    assert_eq!(c.shown(t), "2 @4/4 isr 2 elr 3");
    assert_eq!(c.alter(t, &[2, 3]).as_deref(), Ok("2 @4/5 isr 2,3 elr -"));
}

/// KIP-966, the last replica standing returns with an empty disk: it is no longer eligible.
#[test]
fn kip_966_a_wiped_disk_ends_eligibility() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    for n in [1, 2, 3] {
        c.fence(n);
    }
    assert_eq!(c.shown(t), "none @3/3 isr - elr 2,3");
    c.start(3, 1, 33);
    c.unfence(3);
    assert_eq!(c.shown(t), "none @3/4 isr - elr 2");
    c.unfence(2);
    assert_eq!(c.shown(t), "2 @4/5 isr 2 elr -");
}

/// KIP-966: the ELR is emptied once the ISR is whole without it.
#[test]
fn kip_966_a_whole_isr_has_no_eligible_replicas_beside_it() {
    let mut c = Cluster::new(4);
    let t = c.topic("t", 1, 4, &[("min.insync.replicas", "3")]);
    c.fence(2);
    c.fence(3);
    assert_eq!(c.shown(t), "1 @0/2 isr 1,4 elr 3");
    c.unfence(2);
    assert_eq!(c.alter(t, &[1, 2, 4]).as_deref(), Ok("1 @0/3 isr 1,2,4 elr -"));
}

/// A restored old disk: the boot counter does not go forward.
#[test]
fn an_old_disk_is_trusted_in_no_partition() {
    for boot in [1, 2] {
        let mut c = Cluster::new(3);
        let t = c.topic("t", 1, 3, &[]);
        c.restart(1); // boot 2
        c.unfence(1);
        assert_eq!(c.alter(t, &[1, 2, 3]).as_deref(), Ok("2 @1/2 isr 1,2,3 elr -"));
        c.fence(2);
        c.fence(3);
        assert_eq!(c.shown(t), "1 @2/4 isr 1 elr 3");
        c.start(1, boot, 1);
        assert_eq!(c.shown(t), "none @3/5 isr - elr 3", "boot {boot}");
        c.unfence(1);
        assert_eq!(c.shown(t), "none @3/5 isr - elr 3", "boot {boot}");
        c.unfence(3);
        assert_eq!(c.shown(t), "3 @4/6 isr 3 elr -");
    }
}

/// A wiped disk that comes back before anyone noticed the end of its broker is out of the ISR before it is registered.
#[test]
fn a_wiped_leader_hands_over_before_it_is_registered() {
    let mut c = Cluster::new(3);
    let t = c.topic("t", 1, 3, &[]);
    let records = c.start(1, 1, 11);
    assert_eq!(records.len(), 3, "partition, broker, next broker epoch: {records:?}");
    assert_eq!(c.shown(t), "2 @1/1 isr 2,3 elr -");
    assert_eq!(c.epoch(1), BrokerEpoch(4));
}

/// A partition whose every trusted replica is gone stays offline: there is no unclean election.
#[test]
fn without_a_trusted_replica_nobody_leads() {
    let mut c = Cluster::new(2);
    let t = c.topic("t", 1, 2, &[]);
    c.fence(1);
    assert_eq!(c.shown(t), "2 @1/1 isr 2 elr 1");
    c.start(1, 1, 11);
    c.start(2, 1, 22);
    c.unfence(1);
    c.unfence(2);
    assert_eq!(c.shown(t), "none @2/3 isr - elr -");
    let counts = c.image.counts();
    assert_eq!((counts.offline, counts.under_min_isr, counts.under_replicated), (1, 1, 1));
}
