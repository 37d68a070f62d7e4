//! What the cluster believes of the replicas of a partition, in words: who is not believed, why, and how far each reaches.

use std::collections::BTreeMap;

use serde_json::json;

use holdfast_checker::text::grouped;
use holdfast_client::metadata::TopicView;
use holdfast_proto::v1::{DistrustReason, DistrustedReplica, PartitionInfo, ReplicaClaim, TopicInfo};

use crate::{
    exit::{Failure, Result},
    output::few,
    width::fit,
};

/// Why a replica is not believed, after "broker N: ".
pub(crate) fn reason(reason: i32) -> &'static str {
    match DistrustReason::try_from(reason).unwrap_or_default() {
        DistrustReason::Folder => "its data folder is another one, a copy, or was restored from an older one",
        DistrustReason::Vanished => "its log is gone from its data folder, or its disk was given up",
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

/// What this broker said of its replica.
pub(crate) fn claim(partition: &PartitionInfo, broker: u32) -> Option<&ReplicaClaim> {
    partition.claims.iter().find(|claim| claim.broker_id == broker)
}

/// True if the replica says that its end was cut: more than it holds may have been acknowledged.
pub(crate) fn is_cut(partition: &PartitionInfo, broker: u32) -> bool {
    claim(partition, broker).is_some_and(|claim| claim.doubtful)
}

/// True if the broker could not read its replica: nothing is known of it, and nothing is said against it.
pub(crate) fn is_unread(partition: &PartitionInfo, broker: u32) -> bool {
    claim(partition, broker).is_some_and(|claim| claim.unread)
}

/// True if every replica is believed, and they end with records of different leaderships.
pub(crate) fn is_of_several_leaderships(partition: &PartitionInfo) -> bool {
    let mut epochs = partition.claims.iter().filter(|claim| !claim.not_held).map(|claim| claim.leader_epoch);
    let first = epochs.next();
    partition.distrusted.is_empty() && epochs.any(|epoch| Some(epoch) != first)
}

/// True if the partition is unsettled, and the broker says that it does not hold it: it may have moved away.
pub(crate) fn is_away(partition: &PartitionInfo, broker: u32) -> bool {
    claim(partition, broker).is_some_and(|claim| claim.not_held)
}

/// The logs that came too late to be counted since the controllers were recovered, and are placed nowhere.
fn stray_claims(partition: &PartitionInfo) -> impl Iterator<Item = &ReplicaClaim> {
    partition.claims.iter().filter(|claim| !partition.replicas.contains(&claim.broker_id))
}

/// Where such logs are, and how far they reach, a line each.
pub(crate) fn strays(partition: &PartitionInfo) -> Vec<String> {
    let one = |claim: &ReplicaClaim| {
        let reach = match claim.leader_epoch {
            Some(epoch) => format!("to offset {} in leader epoch {epoch}", claim.end),
            None => "it is not known how far".to_owned(),
        };
        format!(
            "broker {} came too late with a log of it from before the controllers were recovered ({reach}): that may hold \
             acknowledged records which are lost else, counts for nothing, and is kept until the topic is deleted",
            claim.broker_id
        )
    };
    stray_claims(partition).map(one).collect()
}

/// Why the replica is not believed; `None` if it is.
fn distrust(partition: &PartitionInfo, broker: u32) -> Option<&DistrustedReplica> {
    partition.distrusted.iter().find(|one| one.broker_id == broker)
}

/// The replicas that are believed and whose brokers have not said how far they reach.
pub(crate) fn silent(partition: &PartitionInfo) -> impl Iterator<Item = u32> + '_ {
    let replicas = partition.replicas.iter().copied();
    replicas.filter(|id| distrust(partition, *id).is_none() && claim(partition, *id).is_none())
}

/// How this replica counts, in a word or two for a table.
pub(crate) fn standing(partition: &PartitionInfo, broker: u32) -> String {
    let (is_doubtful, is_unread) = (is_cut(partition, broker), is_unread(partition, broker));
    match distrust(partition, broker) {
        Some(distrust) => format!("distrusted ({})", reason_name(distrust.reason)),
        None if partition.isr.contains(&broker) => "in sync".to_owned(),
        None if partition.elr.contains(&broker) && is_doubtful => "eligible, may lack its end".to_owned(),
        None if partition.elr.contains(&broker) && is_away(partition, broker) => "does not hold it".to_owned(),
        None if partition.elr.contains(&broker) && is_unread => "eligible, not read".to_owned(),
        None if partition.elr.contains(&broker) => "eligible".to_owned(),
        None => "out of sync".to_owned(),
    }
}

/// How this replica counts, and whether a partition that goes on with it begins empty: its log is gone.
pub(crate) fn candidate(partition: &PartitionInfo, broker: u32) -> String {
    let reason = distrust(partition, broker).map(DistrustedReplica::reason);
    let begins_empty = reason == Some(DistrustReason::Vanished);
    standing(partition, broker) + if begins_empty { ", begins empty" } else { "" }
}

/// Who is not believed, and whose log may lack its end, a line each.
pub(crate) fn doubts(partition: &PartitionInfo) -> Vec<String> {
    let distrusted = partition.distrusted.iter();
    let distrusted = distrusted.map(|one| format!("broker {} is not believed: {}", one.broker_id, reason(one.reason)));
    let placed = |claim: &&ReplicaClaim| partition.replicas.is_empty() || partition.replicas.contains(&claim.broker_id);
    let doubtful = partition.claims.iter().filter(placed).filter(|claim| claim.doubtful).map(|claim| {
        format!("broker {} may lack records past offset {}: its log was cut there", claim.broker_id, claim.end)
    });
    let mut lines: Vec<_> = distrusted.chain(doubtful).chain(unread(partition)).collect();
    // The same brokers are the same cause, in whichever order a partition names them.
    lines.sort();
    lines
}

/// Who cannot be read, a line each.
fn unread(partition: &PartitionInfo) -> impl Iterator<Item = String> + '_ {
    partition.claims.iter().filter(|claim| claim.unread).map(|claim| {
        let broker = claim.broker_id;
        format!("broker {broker} cannot read its replica, its log says why: mend that, it is tried again by itself")
    })
}

/// Who is not believed in these partitions, and what happens next, a line or two for all partitions that share it; then the
/// command for each partition that nobody can lead any more. Empty if everybody is believed.
pub(crate) fn told(topics: &[TopicInfo]) -> Vec<String> {
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut stuck = Vec::new();
    for (topic, partition) in topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one))) {
        let name = format!("{}-{}", topic.name, partition.partition);
        let next = next(partition);
        // What is copied again is another thing than what is read again.
        let is_again = |doubt: &String| partition.leader.is_some() && unread(partition).any(|unread| unread == *doubt);
        for doubt in doubts(partition).into_iter().chain(unsettled(partition)) {
            let told = if is_again(&doubt) { doubt } else { format!("{doubt}; {next}") };
            causes.entry(told).or_default().push(name.clone());
        }
        for stray in strays(partition) {
            causes.entry(stray).or_default().push(name.clone());
        }
        if has_nobody(partition) {
            stuck.push(recover_command(&topic.name, partition.partition));
        }
    }
    let mut lines: Vec<_> =
        causes.iter().map(|(told, names)| fit(&format!("{}: {told}", names_of(names)), " ")).collect();
    if !stuck.is_empty() {
        lines.push(format!("who could lead, and what that gives up:\n  {}", few(&stuck).replace('\n', "\n  ")));
        if stuck.len() > 1 {
            lines.push(format!("  all at once: {RECOVER_ALL}"));
        }
    }
    lines
}

/// What comes of the replicas that are not believed, or of which nothing is known.
fn next(partition: &PartitionInfo) -> String {
    match partition.leader {
        Some(leader) => format!("copied again from broker {leader} by itself"),
        None => "holdfast cluster status says what to do".to_owned(),
    }
}

/// That nobody knows who was in sync, and who has not said yet what it holds.
fn unsettled(partition: &PartitionInfo) -> Option<String> {
    let silent: Vec<_> = silent(partition).map(|id| id.to_string()).collect();
    let told = if silent.is_empty() { String::new() } else { format!("; not yet said by broker {}", silent.join(",")) };
    partition.unsettled.then(|| {
        format!("unsettled since the controllers were recovered: each replica counts by how far it says that it reaches{told}")
    })
}

/// True if no replica is left that may be elected by itself.
pub(crate) fn has_nobody(partition: &PartitionInfo) -> bool {
    partition.leader.is_none() && partition.isr.is_empty() && partition.elr.is_empty()
}

/// The command that shows the same of every partition that waits for it.
pub(crate) const RECOVER_ALL: &str = "holdfast partition recover --all";

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

/// How far replicas reach, for scripts.
pub(crate) fn claims_json(claims: &[ReplicaClaim]) -> serde_json::Value {
    let one = |claim: &ReplicaClaim| {
        json!({
            "broker": claim.broker_id,
            "last_epoch": claim.leader_epoch,
            "end": claim.end,
            "doubtful": claim.doubtful,
            "unread": claim.unread,
            "not_held": claim.not_held,
        })
    };
    claims.iter().map(one).collect()
}

/// What is believed of the replicas, for scripts.
pub(crate) fn as_json(partition: &PartitionInfo) -> serde_json::Value {
    let distrusted = partition.distrusted.iter();
    let distrusted = distrusted.map(|one| json!({ "broker": one.broker_id, "reason": reason_name(one.reason) }));
    let is_in_doubt = partition.unsettled || doubts(partition).len() > unread(partition).count();
    let next = match (is_in_doubt, partition.leader, unread(partition).next()) {
        (true, ..) | (false, None, Some(_)) => Some(next(partition)),
        (false, Some(_), Some(_)) => Some("read again by itself once what its broker's log names is mended".to_owned()),
        (false, _, None) => None,
    };
    json!({
        "frozen_high_watermark": partition.frozen_high_watermark,
        "claims": claims_json(&partition.claims),
        "distrusted": distrusted.collect::<Vec<_>>(),
        "unsettled": partition.unsettled,
        "strays": claims_json(&stray_claims(partition).copied().collect::<Vec<_>>()),
        "next": next,
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(json["next"], "holdfast cluster status says what to do");
        assert!(found_json(&by_name(&topics), "orders", 8).is_null());
        let well = PartitionInfo { replicas: vec![1], isr: vec![1], leader: Some(1), ..Default::default() };
        assert!(as_json(&well)["next"].is_null());
    }

    #[test]
    fn a_log_that_came_too_late_is_told_and_is_no_replica() {
        let claims = vec![
            ReplicaClaim { broker_id: 4, leader_epoch: Some(7), end: 90, doubtful: true, ..Default::default() },
            ReplicaClaim { broker_id: 1, not_held: true, ..Default::default() },
        ];
        let partition =
            PartitionInfo { replicas: vec![1], elr: vec![1], claims, leader: Some(1), ..Default::default() };
        assert_eq!((doubts(&partition), standing(&partition, 1)), (Vec::new(), "does not hold it".to_owned()));
        let topics = [TopicInfo { name: "orders".to_owned(), partitions: vec![partition], ..Default::default() }];
        let told = told(&topics).join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = "orders-0: broker 4 came too late with a log of it from before the controllers were recovered (to offset \
                        90 in leader epoch 7): that may hold";
        assert!(told.starts_with(expected), "{told}");
        let json = as_json(&topics[0].partitions[0]);
        assert_eq!((&json["strays"][0]["broker"], &json["next"]), (&json!(4), &json!(null)), "{json}");
    }

    #[test]
    fn an_unsettled_partition_says_so_and_who_is_silent() {
        let claims = vec![ReplicaClaim { broker_id: 1, ..Default::default() }];
        let partition = PartitionInfo { replicas: vec![1, 2, 3], claims, unsettled: true, ..Default::default() };
        let topics = [TopicInfo { name: "orders".to_owned(), partitions: vec![partition], ..Default::default() }];
        let lines = told(&topics).join(" ");
        let lines: Vec<_> = lines.split_whitespace().collect();
        let expected = "orders-0: unsettled since the controllers were recovered: each replica counts by how far it says that \
                        it reaches; not yet said by broker 2,3; holdfast cluster status says what to do";
        assert!(lines.join(" ").starts_with(expected), "{lines:?}");
        assert_eq!(as_json(&topics[0].partitions[0])["next"], "holdfast cluster status says what to do");
    }
}
