//! Partitions that wait although every broker that counts is there: for whom, and what an operator can do.

use std::collections::BTreeSet;

use holdfast_proto::v1::{PartitionInfo, TroubledPartition};

use crate::trust;

/// What to do where only replicas are left that say that their ends were cut, fewer than min.insync.replicas, because others
/// are not believed, or one led alone since a recovery: none of them is elected by itself. The command of the last resort follows. `None` if the partition does
/// not wait for that.
pub(super) fn cut_alone(troubled: &TroubledPartition, partition: &PartitionInfo) -> Option<String> {
    let left: BTreeSet<u32> = partition.elr.iter().copied().collect();
    let waits = partition.leader.is_none()
        && partition.frozen_high_watermark.is_none()
        && !left.is_empty()
        && left.len() < partition.replicas.len().min(troubled.min_insync_replicas as usize)
        && left.iter().all(|id| trust::is_cut(partition, *id));
    if !waits {
        return None;
    }
    let ids: Vec<String> = left.iter().map(ToString::to_string).collect();
    let whose = match &ids[..] {
        [one] => format!("the only replica left, that of broker {one}, says that its end was cut"),
        _ => format!("the only replicas left, those of brokers {}, say that their ends were cut", ids.join(",")),
    };
    Some(format!(
        "{whose}: what was cut may have been acknowledged, and nobody who is believed can say. A broker whose old data \
         folder is still there may be started with it first: to go on with that gives up less. See who could lead, and \
         give up what is lost:"
    ))
}

/// What to do if a broker that is waited for will not come back.
pub(super) fn lost_disk(brokers: &[u32]) -> String {
    match brokers {
        [one] => format!("if its disk is gone for good: holdfast broker disk-lost {one}"),
        _ => "if the disk of one is gone for good: holdfast broker disk-lost ID".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{DistrustReason, DistrustedReplica, ReplicaClaim};

    use super::*;

    /// Brokers that are eligible and said this, of a partition with one that is not believed.
    fn partition(claims: &[(u32, bool)]) -> PartitionInfo {
        PartitionInfo {
            partition: 4,
            replicas: vec![1, 2, 3],
            elr: claims.iter().map(|(id, _)| *id).collect(),
            claims: claims
                .iter()
                .map(|(broker_id, doubtful)| ReplicaClaim {
                    broker_id: *broker_id,
                    doubtful: *doubtful,
                    ..ReplicaClaim::default()
                })
                .collect(),
            distrusted: vec![DistrustedReplica { broker_id: 1, reason: DistrustReason::Damaged.into() }],
            ..PartitionInfo::default()
        }
    }

    fn told(partition: &PartitionInfo, min_insync_replicas: u32) -> Option<String> {
        let troubled = TroubledPartition { topic: "orders".to_owned(), min_insync_replicas, ..Default::default() };
        cut_alone(&troubled, partition)
    }

    #[test]
    fn who_is_left_and_was_cut_is_named_with_the_command() {
        let one = told(&partition(&[(3, true)]), 2).expect("it waits");
        assert!(one.starts_with("the only replica left, that of broker 3, says that its end was cut"), "{one}");
        assert!(one.ends_with("give up what is lost:"), "the command follows: {one}");
        let two = told(&partition(&[(3, true), (2, true)]), 3).expect("it waits");
        assert!(two.starts_with("the only replicas left, those of brokers 2,3, say"), "{two}");
    }

    #[test]
    fn who_is_whole_or_has_enough_beside_it_or_reaches_the_high_watermark_is_elected() {
        assert_eq!(told(&partition(&[(3, false)]), 2), None);
        assert_eq!(told(&partition(&[(3, true), (2, true)]), 2), None);
        let frozen = PartitionInfo { frozen_high_watermark: Some(9), ..partition(&[(3, true)]) };
        assert_eq!(told(&frozen, 2), None);
        let single = PartitionInfo { distrusted: Vec::new(), replicas: vec![3], ..partition(&[(3, true)]) };
        assert_eq!(told(&single, 2), None);
        let alone = PartitionInfo { distrusted: Vec::new(), ..partition(&[(3, true)]) };
        assert!(told(&alone, 2).is_some(), "it led alone since a recovery");
        let led = PartitionInfo { leader: Some(3), ..partition(&[(3, true)]) };
        assert_eq!(told(&led, 2), None);
        assert_eq!(told(&partition(&[]), 2), None);
    }
}
