//! Partitions in trouble: what is wrong with each, who is missing, what to do.

use std::collections::BTreeMap;

use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_proto::v1::{DescribeClusterResponse, PartitionInfo, TroubledPartition};

use super::remedy::{Remedy, numbers};
use crate::{output::few, trust, width::fit};

/// How bad, what, who is missing, who is not believed, what to do.
type Cause = (usize, String, String, Vec<String>, Remedy);

/// The troubles, worst first, each with its partitions and with what to do: three lines or so a cause, however many
/// partitions it meets. Empty if there are none.
pub(super) fn as_text(view: &DescribeClusterResponse) -> String {
    let mut causes: BTreeMap<Cause, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for troubled in &view.troubled_partitions {
        let Some(partition) = &troubled.partition else { continue };
        let cause = (
            if partition.leader.is_some() { 1 + partition.isr.len() } else { 0 },
            what(troubled, partition),
            numbers(&troubled.missing_replicas),
            [trust::doubts(partition), trust::strays(partition)].concat(),
            Remedy::of(troubled, partition, view),
        );
        let (names, commands) = causes.entry(cause).or_default();
        names.push(format!("{}-{}", troubled.topic, partition.partition));
        if partition.leader.is_none() {
            commands.push(trust::recover_command(&troubled.topic, partition.partition));
        }
    }
    let told = causes.iter().map(|((_, what, missing, doubts, remedy), (names, commands))| {
        let missing = if missing == "-" { String::new() } else { format!(" (missing: {missing})") };
        let count = counted(names.len() as u64, "partition");
        let mut lines =
            vec![fit(&format!("{count}: {what}{missing}"), " "), fit(&format!("  {}", trust::names_of(names)), ", ")];
        lines.extend(doubts.iter().map(|doubt| fit(&format!("  {doubt}"), " ")));
        lines.push(fit(&format!("  -> {}", remedy.text), " "));
        if remedy.recovers {
            // Each on a line of its own, to be copied.
            lines.push(format!("     {}", few(commands).replace('\n', "\n     ")));
            if commands.len() > 1 && !remedy.waits {
                lines.push(format!("     all at once: {}", trust::RECOVER_ALL));
            }
        }
        lines.join("\n")
    });
    told.collect::<Vec<_>>().join("\n")
}

/// The partitions for scripts.
pub(super) fn as_json(view: &DescribeClusterResponse) -> serde_json::Value {
    let one = |troubled: &TroubledPartition| {
        let partition = troubled.partition.as_ref()?;
        Some(json!({
            "topic": troubled.topic,
            "partition": partition.partition,
            "trouble": what(troubled, partition),
            "leader": partition.leader,
            "replicas": partition.replicas,
            "isr": partition.isr,
            "elr": partition.elr,
            "min_insync_replicas": troubled.min_insync_replicas,
            "missing": troubled.missing_replicas,
            "trust": trust::as_json(partition),
            "remedy": Remedy::of(troubled, partition, view).in_one(&troubled.topic, partition.partition),
        }))
    };
    view.troubled_partitions.iter().filter_map(one).collect()
}

fn what(troubled: &TroubledPartition, partition: &PartitionInfo) -> String {
    let (isr, minimum) = (partition.isr.len(), troubled.min_insync_replicas);
    // A replica that a move brings in has never been in sync.
    let settled = partition.replicas.len() - partition.adding_replicas.len().min(partition.replicas.len());
    if partition.leader.is_none() {
        "offline: no leader".to_owned()
    } else if isr < minimum as usize {
        format!("{isr} in sync, {minimum} needed: writes are refused")
    } else {
        format!("{isr} of {settled} in sync")
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{BrokerInfo, DistrustReason, DistrustedReplica, ReplicaClaim};

    use super::*;

    fn view(leader: Option<u32>, isr: &[u32], elr: &[u32], missing: &[u32]) -> DescribeClusterResponse {
        let partition = PartitionInfo {
            partition: 4,
            leader,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            elr: elr.to_vec(),
            ..PartitionInfo::default()
        };
        let broker = |broker_id, fenced| BrokerInfo { broker_id, fenced, ..BrokerInfo::default() };
        DescribeClusterResponse {
            brokers: vec![broker(1, false), broker(2, missing.contains(&2))],
            troubled_partitions: vec![TroubledPartition {
                topic: "orders".to_owned(),
                partition: Some(partition),
                min_insync_replicas: 2,
                missing_replicas: missing.to_vec(),
            }],
            ..DescribeClusterResponse::default()
        }
    }

    fn check(view: &DescribeClusterResponse, trouble: &str, remedy: &str) {
        let json = as_json(view);
        assert_eq!(json[0]["trouble"], trouble);
        assert!(json[0]["remedy"].as_str().unwrap().starts_with(remedy), "{json}");
        let text = as_text(view);
        assert!(text.contains("orders-4") && text.contains(trouble) && text.contains(remedy), "{text}");
    }

    #[test]
    fn each_trouble_is_named_with_its_remedy() {
        check(&view(None, &[], &[2], &[2, 3]), "offline: no leader", "start broker 2: it was in sync last");
        check(&view(None, &[], &[2, 3], &[2, 3]), "offline: no leader", "start brokers 2,3: they were");
        let mut frozen = view(None, &[], &[2], &[2, 3]);
        frozen.troubled_partitions[0].partition.as_mut().unwrap().frozen_high_watermark = Some(90);
        let remedy = "start broker 2: it was in sync last, and leads if its log reaches offset 90";
        assert!(as_json(&frozen)[0]["remedy"].as_str().unwrap().starts_with(remedy), "{}", as_json(&frozen));
        check(&view(Some(1), &[1], &[2], &[2]), "1 in sync, 2 needed: writes are refused", "start broker 2; if");
        check(&view(Some(1), &[1, 2], &[], &[3]), "2 of 3 in sync", "broker 3 is no longer registered");
        check(&view(Some(1), &[1, 2], &[], &[]), "2 of 3 in sync", "wait");
        assert_eq!(as_text(&DescribeClusterResponse::default()), "");
    }

    #[test]
    fn who_is_not_believed_is_named_with_the_reason_and_with_what_is_left() {
        let distrusted = |mut view: DescribeClusterResponse| {
            let partition = view.troubled_partitions[0].partition.as_mut().unwrap();
            partition.distrusted = vec![DistrustedReplica { broker_id: 2, reason: DistrustReason::Folder.into() }];
            view
        };
        let led = distrusted(view(Some(1), &[1, 3], &[], &[]));
        check(&led, "2 of 3 in sync", "wait: it is copied again from the leader");
        assert!(
            as_text(&led).contains("\n  broker 2 is not believed: its data folder is another one"),
            "{}",
            as_text(&led)
        );
        let lost = distrusted(view(None, &[], &[], &[]));
        let json = as_json(&lost);
        assert!(json[0]["remedy"].as_str().unwrap().ends_with("holdfast partition recover orders -p 4"), "{json}");
        assert_eq!(json[0]["trust"]["distrusted"][0]["reason"], "folder", "{json}");
        let text = as_text(&lost);
        assert!(text.ends_with("\n     holdfast partition recover orders -p 4"), "one line, to be copied: {text}");
        let mut waits = view(None, &[], &[1, 3], &[]);
        waits.brokers.push(BrokerInfo { broker_id: 3, ..BrokerInfo::default() });
        waits.troubled_partitions[0].partition.as_mut().unwrap().claims =
            vec![ReplicaClaim { broker_id: 1, ..ReplicaClaim::default() }];
        let json = as_json(&waits);
        assert!(json[0]["remedy"].as_str().unwrap().starts_with("wait: brokers 1,3 say how far"), "{json}");
        for view in [led, lost, waits] {
            let text = as_text(&view);
            assert!(text.lines().all(|line| line.chars().count() <= crate::width::WIDTH), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_to_be_mended_and_many_are_recovered_at_once() {
        let mut unread = view(Some(1), &[1, 3], &[], &[]);
        unread.troubled_partitions[0].partition.as_mut().unwrap().claims =
            vec![ReplicaClaim { broker_id: 2, unread: true, ..Default::default() }];
        check(&unread, "2 of 3 in sync", "mend what its broker's log names");
        assert!(as_text(&unread).contains("\n  broker 2 cannot read its replica"), "{}", as_text(&unread));
        let mut lost = view(None, &[], &[], &[]);
        assert!(!as_text(&lost).contains("--all"), "{}", as_text(&lost));
        lost.troubled_partitions.push(lost.troubled_partitions[0].clone());
        assert!(as_text(&lost).ends_with("\n     all at once: holdfast partition recover --all"), "{}", as_text(&lost));
    }

    #[test]
    fn an_unsettled_partition_says_whom_it_waits_for() {
        let mut view = view(None, &[], &[1, 2], &[2]);
        view.unheard_brokers = vec![2];
        view.troubled_partitions[0].partition.as_mut().unwrap().unsettled = true;
        let remedy = |view: &DescribeClusterResponse| as_json(view)[0]["remedy"].as_str().unwrap().to_owned();
        let gone = "start broker 2 again; if its disk is gone for good: holdfast broker disk-lost 2";
        assert!(remedy(&view).ends_with(gone), "{}", remedy(&view));
        view.unheard_brokers.clear();
        let claims = |brokers: &[u32]| {
            brokers.iter().map(|broker_id| ReplicaClaim { broker_id: *broker_id, ..Default::default() }).collect()
        };
        view.troubled_partitions[0].partition.as_mut().unwrap().claims = claims(&[1]);
        assert!(remedy(&view).starts_with("wait: broker 2 has not said yet"), "{}", remedy(&view));
        view.troubled_partitions[0].partition.as_mut().unwrap().claims = claims(&[1, 2]);
        assert!(remedy(&view).starts_with("start broker 2: the controllers were recovered"), "{}", remedy(&view));
        view.brokers[1].fenced = false;
        assert!(remedy(&view).ends_with("holdfast partition recover orders -p 4"), "{}", remedy(&view));
        assert!(!remedy(&view).contains("also those that are not listed"), "{}", remedy(&view));
        view.troubled_partitions[0].partition.as_mut().unwrap().claims[1].not_held = true;
        assert!(
            remedy(&view).contains("First start every broker that there was, also those that are not listed"),
            "{}",
            remedy(&view)
        );
    }

    #[test]
    fn a_log_that_came_too_late_is_no_reason_to_wait() {
        let mut view = view(Some(1), &[1, 2, 3], &[], &[]);
        let stray = ReplicaClaim { broker_id: 4, leader_epoch: Some(7), end: 90, ..Default::default() };
        view.troubled_partitions[0].partition.as_mut().unwrap().claims = vec![stray];
        check(&view, "3 of 3 in sync", "nothing has to be done for the partition");
        assert!(as_text(&view).contains("broker 4 came too late with a log of it"), "{}", as_text(&view));
    }

    #[test]
    fn forty_partitions_of_one_cause_are_told_in_a_few_lines_that_fit() {
        let lost = view(None, &[], &[2], &[2, 3]).troubled_partitions;
        let mut view = view(Some(1), &[1, 3], &[], &[2]);
        let one = view.troubled_partitions[0].clone();
        let numbered = |(number, mut troubled): (u32, TroubledPartition)| {
            if let Some(partition) = &mut troubled.partition {
                partition.partition = number;
                partition.isr.rotate_left(number as usize % 2);
            }
            troubled
        };
        view.troubled_partitions = (0..38).zip(std::iter::repeat(one)).map(numbered).collect();
        view.troubled_partitions.extend(lost);
        let text = as_text(&view);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        assert_eq!(lines[0], "1 partition: offline: no leader (missing: 2,3)");
        assert_eq!(lines[4], "38 partitions: 2 of 3 in sync (missing: 2)");
        assert_eq!(lines[5], "  orders-0, orders-1, orders-2, orders-3, orders-4, 33 more");
        assert_eq!(lines[6], "  -> start broker 2; if it is gone for good: holdfast broker drain 2");
        assert!(lines.iter().all(|line| line.chars().count() <= crate::width::WIDTH), "{text}");
    }
}
