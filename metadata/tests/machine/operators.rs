//! What operators may not do while a partition has no leader: what would elect in silence whom the rules refused.

use holdfast_metadata::{AlterTopic, Command, trust::Vouch};
use holdfast_proto::error::ErrorCode;

use crate::{
    cluster::b,
    trust::{back, report, standing, three},
};

/// As many have to be heard as hold each acknowledged record: another number would elect without a word.
#[test]
fn the_minimum_in_sync_does_not_change_while_nobody_leads() {
    let (mut c, t) = three();
    let minimum = |min_isr: &str| {
        let configs = [("min.insync.replicas".to_owned(), Some(min_isr.to_owned()))].into();
        Command::AlterTopic(AlterTopic { topic_id: t, configs, partition_count: None })
    };
    c.ok(&c.fencing(&[1, 2, 3]));
    assert_eq!(standing(&c, t), "none isr - elr 1,2,3");
    // Its disk was rolled back a little, which nothing on it shows.
    back(&mut c, 1, &[report(t, 0, 50, Vouch::Full)]);
    assert_eq!(standing(&c, t), "none isr - elr 1,2,3", "one is not enough");
    for min_isr in ["1", "3"] {
        let refused = c.refused(&minimum(min_isr));
        assert_eq!(refused.code, ErrorCode::LeaderNotAvailable);
        assert!(refused.message.contains("t-0 has no leader"), "{}", refused.message);
    }
    c.ok(&minimum("2"));
    back(&mut c, 2, &[report(t, 0, 100, Vouch::Full)]);
    assert_eq!(standing(&c, t), "2 isr 2 elr 1,3");
    c.ok(&minimum("1"));
}

/// What nothing is said against is given up only by who takes its broker away.
#[test]
fn the_last_resort_takes_no_replica_while_a_better_one_is_there() {
    for vouch in [Vouch::Full, Vouch::Unread] {
        let (mut c, t) = three();
        c.fence(3);
        c.ok(&c.fencing(&[1, 2]));
        back(&mut c, 1, &[report(t, 0, 50, Vouch::Full)]);
        // Two would be enough to elect: the one that reaches farther says that it was cut, or nothing at all.
        back(&mut c, 2, &[report(t, 0, 100, vouch)]);
        if c.state(t).leader.is_some() {
            assert_eq!((vouch, c.state(t).leader), (Vouch::Full, Some(b(2))));
            continue;
        }
        let refused = c.refused(&c.recovering(t, 1));
        assert_eq!(refused.code, ErrorCode::InvalidRequest);
        assert!(refused.message.contains("stop broker 2 first"), "{}", refused.message);
        c.fence(2);
        c.ok(&c.recovering(t, 1));
        assert_eq!(c.state(t).leader, Some(b(1)));
    }
}
