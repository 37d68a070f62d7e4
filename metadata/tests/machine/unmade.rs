//! Replicas that were not made yet when their broker stopped.

use holdfast_metadata::trust::{DistrustReason, Vouch};

use crate::{
    cluster::Cluster,
    trust::{back, report, standing},
};

/// A power loss comes before a new topic's replicas are made, and one disk is lost by it.
#[test]
fn a_replica_that_was_not_made_yet_speaks_as_a_whole_one_where_another_is_not_believed() {
    let mut c = Cluster::with_tokens(2);
    let t = c.topic("t", 1, 2, &[("min.insync.replicas", "2")]);
    (1..=2).for_each(|n| drop(c.fence(n)));
    back(&mut c, 1, &[report(t, 0, 0, Vouch::Not(DistrustReason::Vanished))]);
    assert_eq!(standing(&c, t), "none isr - elr 2");
    // Of one that was cut nobody says that nothing which counted was cut off.
    back(&mut c, 2, &[report(t, 0, 0, Vouch::Doubtful)]);
    assert_eq!(standing(&c, t), "none isr - elr 2");
    // What an earlier start was in doubt of a later one still is, whatever it finds.
    back(&mut c, 2, &[]);
    assert_eq!(standing(&c, t), "none isr - elr 2");

    let mut c = Cluster::with_tokens(2);
    let t = c.topic("t", 1, 2, &[("min.insync.replicas", "2")]);
    (1..=2).for_each(|n| drop(c.fence(n)));
    back(&mut c, 1, &[report(t, 0, 0, Vouch::Not(DistrustReason::Vanished))]);
    back(&mut c, 2, &[]);
    assert_eq!(standing(&c, t), "2 isr 2 elr -");
}
