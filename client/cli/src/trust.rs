//! What the cluster believes of the replicas of a partition, in words: who is not believed, why, and how far each reaches.

use std::collections::BTreeMap;

use serde_json::json;

use holdfast_checker::text::{counted, grouped};
use holdfast_client::{admin::GivenUp, metadata::TopicView};
use holdfast_proto::v1::{DistrustReason, DistrustedReplica, PartitionInfo, TopicInfo};

use crate::{
    exit::{Failure, Result},
    output::few,
    width::fit,
};

/// Why a replica is not believed, after "broker N: ".
pub(crate) fn reason(reason: i32) -> &'static str {
    match DistrustReason::try_from(reason).unwrap_or_default() {
        DistrustReason::Folder => "its data folder is another one, a copy, or was restored from an older one",
        DistrustReason::Vanished => "its log is gone from its data folder",
        DistrustReason::Damaged => "its log lost or changed bytes that were durable",
        DistrustReason::Halted => "it stopped itself: its leader's log contradicts what was acknowledged",
        DistrustReason::Short => "its log ends below the high watermark",
        DistrustReason::Unspecified | DistrustReason::Unread => "for a reason that this build does not know",
    }
}

/// The reason for scripts.
pub(crate) fn reason_name(reason: i32) -> &'static str {
    match DistrustReason::try_from(reason).unwrap_or_default() {
        DistrustReason::Folder => "folder",
        DistrustReason::Vanished => "vanished",
        DistrustReason::Damaged => "damaged",
        DistrustReason::Halted => "halted",
        DistrustReason::Short => "short",
        DistrustReason::Unspecified | DistrustReason::Unread => "unknown",
    }
}

/// How this replica counts, in a word or two for a table.
pub(crate) fn standing(partition: &PartitionInfo, broker: u32) -> String {
    let distrust = partition.distrusted.iter().find(|one| one.broker_id == broker);
    let is_doubtful = partition.claims.iter().any(|claim| claim.broker_id == broker && claim.doubtful);
    let is_unread = partition.claims.iter().any(|claim| claim.broker_id == broker && claim.unread);
    match distrust {
        Some(distrust) => format!("distrusted ({})", reason_name(distrust.reason)),
        None if partition.isr.contains(&broker) => "in sync".to_owned(),
        None if partition.elr.contains(&broker) && is_doubtful => "eligible, may lack its end".to_owned(),
        None if partition.elr.contains(&broker) && is_unread => "eligible, not read".to_owned(),
        None if partition.elr.contains(&broker) => "eligible".to_owned(),
        None => "out of sync".to_owned(),
    }
}

/// How this replica counts, and whether a partition that goes on with it begins empty: its broker sets it aside.
pub(crate) fn candidate(partition: &PartitionInfo, broker: u32) -> String {
    let distrust = partition.distrusted.iter().find(|one| one.broker_id == broker).map(DistrustedReplica::reason);
    let begins_empty =
        matches!(distrust, Some(DistrustReason::Vanished | DistrustReason::Damaged | DistrustReason::Halted));
    standing(partition, broker) + if begins_empty { ", begins empty" } else { "" }
}

/// Who is not believed, and whose log may lack its end, a line each.
pub(crate) fn doubts(partition: &PartitionInfo) -> Vec<String> {
    let distrusted = partition.distrusted.iter();
    let distrusted = distrusted.map(|one| format!("broker {} is not believed: {}", one.broker_id, reason(one.reason)));
    let doubtful = partition.claims.iter().filter(|claim| claim.doubtful).map(|claim| {
        format!("broker {} may lack records past offset {}: its log was cut there", claim.broker_id, claim.end)
    });
    let unread = partition.claims.iter().filter(|claim| claim.unread).map(|claim| {
        let broker = claim.broker_id;
        format!("broker {broker} cannot read its replica, its log says why: mend that, it is tried again by itself")
    });
    let mut lines: Vec<_> = distrusted.chain(doubtful).chain(unread).collect();
    // The same brokers are the same cause, in whichever order a partition names them.
    lines.sort();
    lines
}

/// Who is not believed in these partitions, and what happens next, a line or two for all partitions that share it; then the
/// command for each partition that nobody can lead any more. Empty if everybody is believed.
pub(crate) fn told(topics: &[TopicInfo]) -> Vec<String> {
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut stuck = Vec::new();
    for (topic, partition) in topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one))) {
        let name = format!("{}-{}", topic.name, partition.partition);
        let next = match partition.leader {
            Some(leader) => format!("copied again from broker {leader} by itself"),
            None => "holdfast cluster status says what to do".to_owned(),
        };
        for doubt in doubts(partition) {
            causes.entry(format!("{doubt}; {next}")).or_default().push(name.clone());
        }
        if has_nobody(partition) {
            stuck.push(recover_command(&topic.name, partition.partition));
        }
    }
    let mut lines: Vec<_> =
        causes.iter().map(|(told, names)| fit(&format!("{}: {told}", names_of(names)), " ")).collect();
    if !stuck.is_empty() {
        lines.push(format!("who could lead, and what that gives up:\n  {}", few(&stuck).replace('\n', "\n  ")));
    }
    lines
}

/// True if no replica is left that may be elected by itself.
pub(crate) fn has_nobody(partition: &PartitionInfo) -> bool {
    partition.leader.is_none() && partition.isr.is_empty() && partition.elr.is_empty()
}

/// The command that shows who could lead, and what that gives up.
pub(crate) fn recover_command(topic: &str, partition: u32) -> String {
    format!("holdfast partition recover {topic} -p {partition}")
}

/// The first few of these partitions, and how many more there are.
pub(crate) fn names_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.len().min(SHOWN);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(", {} more", grouped(more as u64)),
    };
    format!("{}{more}", names[..shown].join(", "))
}

/// These topics without what is believed of their replicas, in the same order.
pub(crate) fn views(topics: &[TopicInfo]) -> Result<Vec<TopicView>> {
    let malformed =
        |reason| Failure::error(format!("a broker's answer is malformed: {reason}; is it of another build?"));
    topics.iter().cloned().map(TopicView::from_message).collect::<std::result::Result<_, _>>().map_err(malformed)
}

/// The partitions of these topics, by name and number.
pub(crate) fn by_name(topics: &[TopicInfo]) -> BTreeMap<(&str, u32), &PartitionInfo> {
    let mut known = BTreeMap::new();
    for topic in topics {
        known.extend(topic.partitions.iter().map(|one| ((topic.name.as_str(), one.partition), one)));
    }
    known
}

/// What is believed of the replicas of this partition, for scripts.
pub(crate) fn found_json(
    known: &BTreeMap<(&str, u32), &PartitionInfo>,
    topic: &str,
    partition: u32,
) -> serde_json::Value {
    known.get(&(topic, partition)).map_or(serde_json::Value::Null, |found| as_json(found))
}

/// What is believed of the replicas, for scripts.
pub(crate) fn as_json(partition: &PartitionInfo) -> serde_json::Value {
    let claims = partition.claims.iter().map(|claim| {
        json!({
            "broker": claim.broker_id,
            "last_epoch": claim.leader_epoch,
            "end": claim.end,
            "doubtful": claim.doubtful,
            "unread": claim.unread,
        })
    });
    let distrusted = partition.distrusted.iter();
    let distrusted = distrusted.map(|one| json!({ "broker": one.broker_id, "reason": reason_name(one.reason) }));
    json!({
        "frozen_high_watermark": partition.frozen_high_watermark,
        "claims": claims.collect::<Vec<_>>(),
        "distrusted": distrusted.collect::<Vec<_>>(),
        "unsettled": partition.unsettled,
    })
}

/// What is, was or would be given up, in one line.
pub(crate) fn given_up(given_up: &GivenUp) -> String {
    let absent = match &given_up.absent[..] {
        [] => String::new(),
        absent => format!(", and what broker {} alone holds", crate::moves::ids(absent)),
    };
    let offsets = match (given_up.offsets(), given_up.end) {
        (Some((from, to)), _) if from == to => "no record below the high watermark that was known".to_owned(),
        (Some((from, to)), _) => {
            format!("offsets {from} to {} ({})", to.0 - 1, counted(to.0 - from.0, "acknowledged record"))
        }
        (None, Some(end)) => format!("unknown: all that was acknowledged from offset {end} on"),
        (None, None) => "unknown: all that was acknowledged and the replica lacks".to_owned(),
    };
    format!("{offsets}{absent}")
}

/// A recovery for scripts.
pub(crate) fn given_up_json(given_up: &GivenUp) -> serde_json::Value {
    let offsets = given_up.offsets();
    json!({
        "topic": given_up.topic,
        "partition": given_up.partition,
        "broker": given_up.broker,
        "leader_epoch": given_up.leader_epoch,
        "end": given_up.end,
        "high_watermark": given_up.high_watermark,
        "given_up_from": offsets.map(|(from, _)| from),
        "given_up_to": offsets.map(|(_, to)| to),
        "absent": given_up.absent,
        "at_ms": given_up.at_ms,
    })
}

/// A recovery of the past, in one line.
pub(crate) fn past(recovery: &GivenUp) -> String {
    format!(
        "{}-{} was recovered from broker {} on {} (leader epoch {}); given up: {}",
        recovery.topic,
        recovery.partition,
        recovery.broker,
        at(recovery.at_ms),
        recovery.leader_epoch,
        given_up(recovery)
    )
}

/// The time, by UTC.
pub(crate) fn at(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{at_ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{RecoveryInfo, ReplicaClaim};

    use super::*;

    #[test]
    fn a_replica_counts_as_the_controllers_say() {
        let partition = PartitionInfo {
            isr: vec![1],
            elr: vec![2, 3],
            claims: vec![ReplicaClaim { broker_id: 3, doubtful: true, ..Default::default() }],
            distrusted: vec![DistrustedReplica { broker_id: 4, reason: DistrustReason::Vanished.into() }],
            ..Default::default()
        };
        let standings: Vec<_> = (1..6).map(|broker| standing(&partition, broker)).collect();
        let expected = ["in sync", "eligible", "eligible, may lack its end", "distrusted (vanished)", "out of sync"];
        assert_eq!(standings, expected);
        assert_eq!(candidate(&partition, 4), "distrusted (vanished), begins empty");
        assert_eq!(candidate(&partition, 1), "in sync");
        let topic = |leader| {
            let partition = PartitionInfo { leader, partition: 7, ..partition.clone() };
            [TopicInfo { name: "orders".to_owned(), partitions: vec![partition], ..Default::default() }]
        };
        let words = |lines: Vec<String>| lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let led = words(told(&topic(Some(1))));
        assert!(led.contains("orders-7: broker 4 is not believed: its log is gone"), "{led}");
        assert!(led.contains("copied again from broker 1 by itself"), "{led}");
        assert!(words(told(&topic(None))).contains("holdfast cluster status says what to do"));
        let topics = topic(None);
        let json = found_json(&by_name(&topics), "orders", 7);
        assert_eq!(json["distrusted"][0]["reason"], "vanished", "{json}");
        assert!(found_json(&by_name(&topics), "orders", 8).is_null());
    }

    #[test]
    fn a_recovery_names_what_it_gave_up() {
        let info = RecoveryInfo {
            topic: "orders".to_owned(),
            partition: 3,
            broker_id: 2,
            leader_epoch: 9,
            end: Some(100),
            high_watermark: Some(107),
            absent: vec![1],
            at_ms: 1_700_000_000_000,
        };
        let of = |info: &RecoveryInfo| GivenUp::from_message(info.clone(), 0);
        assert_eq!(
            past(&of(&info)),
            "orders-3 was recovered from broker 2 on 2023-11-14 22:13:20 UTC (leader epoch 9); given up: \
             offsets 100 to 106 (7 acknowledged records), and what broker 1 alone holds"
        );
        let unknown = given_up(&of(&RecoveryInfo { high_watermark: None, absent: vec![], ..info.clone() }));
        assert_eq!(unknown, "unknown: all that was acknowledged from offset 100 on");
        let nothing = given_up(&of(&RecoveryInfo { end: Some(107), absent: vec![], ..info }));
        assert_eq!(nothing, "no record below the high watermark that was known");
    }
}
