//! The controllers went on from a single one of them: what was given up then, and who is still waited for.

use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_proto::v1::{ControllerRecovery, DescribeClusterResponse, LostDiskInfo};

use super::waiting;
use crate::{given_up, output::ids, width::fit};

/// A disk that was given up.
pub(super) fn lost_disk(lost: &LostDiskInfo) -> String {
    format!(
        "the disk of broker {} was given up on {}: {}, {} of them in sync or eligible",
        lost.broker_id,
        given_up::at(lost.at_ms),
        counted(lost.replica_count.into(), "replica"),
        lost.eligible_count
    )
}

/// The disks that were given up, for scripts, the newest last.
pub(super) fn lost_disks_as_json(view: &DescribeClusterResponse) -> serde_json::Value {
    let one = |lost: &LostDiskInfo| {
        json!({
            "broker": lost.broker_id,
            "broker_epoch": lost.broker_epoch,
            "replicas": lost.replica_count,
            "eligible": lost.eligible_count,
            "led": lost.led_count,
            "at_ms": lost.at_ms,
        })
    };
    view.lost_disks.iter().map(one).collect()
}

/// A recovery of the controllers.
pub(super) fn one(recovery: &ControllerRecovery) -> String {
    let mut given_up = Vec::new();
    match &recovery.given_up[..] {
        [] => {}
        [one] => given_up.push(format!("controller {one}")),
        some => given_up.push(format!("controllers {}", ids(some))),
    }
    given_up.push(format!("what the metadata was after index {} (term {})", recovery.index, recovery.term));
    match &recovery.without[..] {
        [] => {}
        [one] => given_up.push(format!("the replicas of broker {one}")),
        some => given_up.push(format!("the replicas of brokers {}", ids(some))),
    }
    let expected = match &recovery.expected[..] {
        [] => String::new(),
        [one] => format!("; broker {one}, which was not known, had to be heard first"),
        some => format!("; brokers {}, which were not known, had to be heard first", ids(some)),
    };
    format!(
        "the controllers were recovered from controller {} on {}; given up: {}{expected}",
        recovery.controller_id,
        given_up::at(recovery.at_ms),
        given_up.join("; ")
    )
}

/// Who has said nothing since, and what to do; empty if all have.
pub(super) fn waiting(view: &DescribeClusterResponse) -> String {
    let unheard = &view.unheard_brokers[..];
    let (who, them) = match unheard {
        [] => return String::new(),
        [one] => (format!("broker {one} has"), "it"),
        some => (format!("brokers {} have", ids(some)), "each of them"),
    };
    let gone = waiting::lost_disk(unheard);
    let what = format!("{who} not registered since the controllers were recovered");
    let next = format!("  -> {}", remedy(them, &gone));
    format!("{}\n{}", fit(&what, " "), fit(&next, " "))
}

/// What brings an unsettled partition its leader while brokers were not heard.
fn remedy(them: &str, gone: &str) -> String {
    format!(
        "start {them} again, with the data folder as it was last: until then a partition without a leader gets none; {gone}"
    )
}

/// Both for scripts: what was given up, the newest last.
pub(super) fn as_json(view: &DescribeClusterResponse) -> serde_json::Value {
    let one = |recovery: &ControllerRecovery| {
        json!({
            "controller": recovery.controller_id,
            "index": recovery.index,
            "term": recovery.term,
            "committed": recovery.committed,
            "given_up_controllers": recovery.given_up,
            "given_up_brokers": recovery.without,
            "expected_brokers": recovery.expected,
            "at_ms": recovery.at_ms,
        })
    };
    view.controller_recoveries.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::width::WIDTH;

    #[test]
    fn what_was_given_up_and_who_is_waited_for_is_told() {
        let mut view = DescribeClusterResponse::default();
        assert!(waiting(&view).is_empty(), "nothing was recovered");
        view.controller_recoveries = vec![ControllerRecovery {
            controller_id: 71,
            index: 812,
            term: 4,
            given_up: vec![72, 73],
            without: vec![5],
            expected: vec![6, 8],
            at_ms: 1_700_000_000_000,
            ..Default::default()
        }];
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            one(&view.controller_recoveries[0]),
            "the controllers were recovered from controller 71 on 2023-11-14 22:13:20 UTC; given up: controllers 72,73; \
             what the metadata was after index 812 (term 4); the replicas of broker 5; brokers 6,8, which were not known, had to \
             be heard first"
        );
        view.unheard_brokers = vec![2];
        assert!(words(&waiting(&view)).starts_with("broker 2 has not registered since"), "{}", waiting(&view));
        view.unheard_brokers = vec![2, 3];
        let text = waiting(&view);
        assert!(words(&text).contains("-> start each of them again"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(as_json(&view)[0]["given_up_controllers"], json!([72, 73]));
        assert_eq!(as_json(&view)[0]["expected_brokers"], json!([6, 8]));
        let lost = LostDiskInfo { broker_id: 4, replica_count: 12, eligible_count: 1, ..Default::default() };
        view.lost_disks = vec![LostDiskInfo { at_ms: 1_700_000_000_000, ..lost }];
        assert_eq!(
            lost_disk(&view.lost_disks[0]),
            "the disk of broker 4 was given up on 2023-11-14 22:13:20 UTC: 12 replicas, 1 of them in sync or eligible"
        );
        assert_eq!(lost_disks_as_json(&view)[0]["broker"], json!(4));
    }
}
