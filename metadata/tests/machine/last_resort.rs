//! What is kept of the last resort of a partition, and two operators who use it at once.

use holdfast_metadata::{
    Record,
    trust::{ReplicaClaim, Vouch},
    version::{RECOVERY, TRUST},
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{LeaderEpoch, MetadataVersion, Offset, TopicId},
};

use crate::{
    cluster::{Cluster, b},
    trust::{all_gone, back, report, three_of},
};

/// Broker 1 acknowledged up to offset 100, the last of it in leader epoch 3, and is gone; brokers 2 and 3 are there, and hold
/// an older log that ends past it.
fn stuck(version: MetadataVersion) -> (Cluster, TopicId) {
    let (mut c, t) = three_of(version);
    all_gone(&mut c, t, 100);
    back(&mut c, 2, &[report(t, 2, 120, Vouch::Full)]);
    back(&mut c, 3, &[report(t, 1, 40, Vouch::Full)]);
    assert_eq!(c.state(t).leader, None);
    (c, t)
}

#[test]
fn it_is_kept_how_far_each_replica_reached_and_in_which_epoch() {
    let (mut c, t) = stuck(RECOVERY);
    let recovery = c.recover(t, 2);
    assert_eq!((recovery.end, recovery.high_watermark), (Some(Offset(120)), Some(Offset(100))));
    assert_eq!(recovery.high_watermark_epoch, Some(LeaderEpoch(3)));
    let mut claims: Vec<_> =
        recovery.claims.iter().map(|claim| (claim.broker_id, claim.leader_epoch, claim.end)).collect();
    claims.sort_unstable();
    assert_eq!(claims, [(b(2), Some(LeaderEpoch(2)), Offset(120)), (b(3), Some(LeaderEpoch(1)), Offset(40))]);
    assert_eq!(c.image.recoveries(), [recovery]);
}

#[test]
fn before_the_version_that_has_it_less_is_kept_so_that_older_builds_can_read_it() {
    let (mut c, t) = stuck(TRUST);
    let recovery = c.recover(t, 2);
    assert_eq!((recovery.high_watermark_epoch, &recovery.claims[..]), (None, &[][..]));
}

#[test]
fn the_second_of_two_operators_is_told_of_the_first() {
    let (mut c, t) = stuck(RECOVERY);
    let (first, second) = (c.recovering(t, 2), c.recovering(t, 3));
    c.ok(&first);
    let refused = c.refused(&second);
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    let epoch = c.state(t).leader_epoch;
    let told = format!("another recovery came first, and went on with the replica of broker 2 in leader epoch {epoch}");
    assert!(refused.to_string().contains(&told), "{refused}");
    assert_eq!(c.image.recoveries().len(), 1, "nothing more was given up");
    // The leader of the first is gone before the second arrives.
    c.fence(2);
    let refused = c.refused(&second);
    assert_eq!(refused.code, ErrorCode::InvalidUpdateVersion);
    assert!(refused.to_string().contains(&told), "{refused}");
}

#[test]
fn what_an_older_build_kept_is_read() {
    let stored = r#"{"recovery":{"topic_id":"00000000-0000-0000-0000-000000000001","topic":"t","partition":0,"broker_id":2,
        "leader_epoch":9,"end":120,"high_watermark":100,"absent":[1],"at_ms":5}}"#;
    let Record::PartitionRecovery(read) = serde_json::from_str(stored).expect("read") else { panic!("another record") };
    assert_eq!(
        (read.end, read.high_watermark_epoch, read.claims),
        (Some(Offset(120)), None, Vec::<ReplicaClaim>::new())
    );
    let again = serde_json::from_str::<serde_json::Value>(stored).expect("it is JSON");
    let Record::PartitionRecovery(read) = serde_json::from_str(stored).expect("read") else { panic!("another record") };
    assert_eq!(
        serde_json::to_value(Record::PartitionRecovery(read)).expect("it is JSON"),
        again,
        "and written as it was"
    );
}
