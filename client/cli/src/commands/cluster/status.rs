//! `holdfast cluster status`.

use serde_json::json;

use holdfast_checker::text::{counted, grouped, render_table};
use holdfast_client::admin::Admin;
use holdfast_proto::{
    ids::ClusterId,
    v1::{BrokerInfo, DescribeClusterResponse},
};

use super::{finalize::range, silent::Silent, trouble};
use crate::{
    commands::broker,
    exit::Result,
    moves::Throttle,
    output::{Output, print_json, say},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast cluster status
  holdfast cluster status -o json | jq .offline_partition_count
  holdfast cluster status -o json | jq '.troubled_partitions[].remedy'";

pub(super) async fn run(admin: &Admin, output: Output) -> Result {
    let view = admin.describe_cluster().await?;
    let silent = Silent::find(admin, &view).await;
    match output {
        Output::Json => print_json(&as_json(&view, &silent))?,
        Output::Table => say(as_text(&view, &silent))?,
    }
    Ok(())
}

/// A verdict and the counts behind it, in two lines.
pub fn summary(view: &DescribeClusterResponse, silent: &Silent) -> String {
    let problems = problems(view, silent);
    let verdict = if problems.is_empty() { "healthy".to_owned() } else { problems.join(", ") };
    format!(
        "cluster: {verdict}\n{}, {}, {}; metadata index {}, term {}",
        counted(view.brokers.len() as u64, "broker"),
        counted(view.topic_count, "topic"),
        counted(view.partition_count, "partition"),
        view.index,
        view.term
    )
}

/// What is wrong, worst first.
fn problems(view: &DescribeClusterResponse, silent: &Silent) -> Vec<String> {
    let mut problems = Vec::new();
    if view.active_controller.is_none() {
        problems.push("no controller is active".to_owned());
    }
    let fenced = view.brokers.iter().filter(|broker| broker.fenced).count();
    for (count, what) in [
        (view.offline_partition_count, "offline (no leader)"),
        (view.under_min_isr_partition_count, "below min.insync.replicas (writes are refused)"),
        (view.under_replicated_partition_count, "under-replicated"),
    ] {
        if count > 0 {
            let noun = if count == 1 { "partition is" } else { "partitions are" };
            problems.push(format!("{} {noun} {what}", grouped(count)));
        }
    }
    if fenced > 0 {
        problems.push(format!("{fenced} of {} brokers fenced", view.brokers.len()));
    }
    for (what, silent, all) in [
        ("brokers", silent.brokers.len(), view.brokers.len()),
        ("controllers", silent.controllers.len(), view.controllers.len()),
    ] {
        if silent > 0 {
            problems.push(format!("{silent} of {all} {what} not answering"));
        }
    }
    problems
}

fn as_json(view: &DescribeClusterResponse, silent: &Silent) -> serde_json::Value {
    let controllers: Vec<_> = view
        .controllers
        .iter()
        .map(|controller| {
            json!({
                "node_id": controller.node_id,
                "address": controller.address,
                "voter": controller.voter,
                "active": Some(controller.node_id) == view.active_controller,
                "not_answering": silent.controllers.contains(&controller.node_id),
                "min_metadata_version": controller.min_metadata_version,
                "max_metadata_version": controller.max_metadata_version,
            })
        })
        .collect();
    let broker = |info: &BrokerInfo| {
        let mut json = broker::as_json(info);
        json["not_answering"] = json!(silent.brokers.contains(&info.broker_id));
        json
    };
    let brokers: Vec<_> = view.brokers.iter().map(broker).collect();
    json!({
        "cluster_id": ClusterId::from_bytes(&view.cluster_id).map(|id| id.to_string()),
        "index": view.index,
        "term": view.term,
        "metadata_version": view.metadata_version,
        "active_controller": view.active_controller,
        "controllers": controllers,
        "brokers": brokers,
        "topic_count": view.topic_count,
        "partition_count": view.partition_count,
        "offline_partition_count": view.offline_partition_count,
        "under_replicated_partition_count": view.under_replicated_partition_count,
        "under_min_isr_partition_count": view.under_min_isr_partition_count,
        "moving_partition_count": view.moving_partition_count,
        "move_bytes_per_second": view.move_bytes_per_second,
        "troubled_partitions": trouble::as_json(view),
        "problems": problems(view, silent),
        "notices": notices(view),
    })
}

fn as_text(view: &DescribeClusterResponse, silent: &Silent) -> String {
    let id = ClusterId::from_bytes(&view.cluster_id).map_or_else(|| "(none yet)".to_owned(), |id| id.to_string());
    let controllers = view.controllers.iter().map(|controller| {
        let active = Some(controller.node_id) == view.active_controller;
        let role = if active {
            "active"
        } else if controller.voter {
            "voter"
        } else {
            "learner"
        };
        let silent = if silent.controllers.contains(&controller.node_id) { ", not answering" } else { "" };
        let versions = range(controller.min_metadata_version, controller.max_metadata_version);
        [controller.node_id.to_string(), controller.address.clone(), format!("{role}{silent}"), versions]
    });
    let mut parts =
        vec![format!("{}\ncluster id {id}, metadata version {}", summary(view, silent), view.metadata_version)];
    parts.extend(Some(notices(view).join("\n")).filter(|text| !text.is_empty()));
    parts.push(render_table(["CONTROLLER", "ADDRESS", "STATE", "VERSIONS"], controllers));
    parts.push(broker::table(&view.brokers, &silent.brokers));
    parts.extend(Some(trouble::table(view)).filter(|text| !text.is_empty()));
    let troubled = view.offline_partition_count.max(view.under_replicated_partition_count);
    if troubled > view.troubled_partitions.len() as u64 {
        parts.push("there are more: holdfast partition ls --troubled".to_owned());
    }
    parts.join("\n\n")
}

/// What is going on and no problem.
fn notices(view: &DescribeClusterResponse) -> Vec<String> {
    let mut notices = Vec::new();
    if view.moving_partition_count > 0 {
        let noun = if view.moving_partition_count == 1 { "partition is" } else { "partitions are" };
        notices.push(format!("{} {noun} moving: holdfast partition ls --moving", grouped(view.moving_partition_count)));
    }
    if view.move_bytes_per_second > 0 {
        let limit = Throttle { bytes_per_second: view.move_bytes_per_second };
        notices.push(format!("each broker copies at most {limit} for moves"));
    }
    for broker in view.brokers.iter().filter(|broker| broker.draining) {
        let id = broker.broker_id;
        notices.push(match broker.replica_count {
            0 => format!("broker {id} is drained: it is safe to remove"),
            left => format!("broker {id} is being drained, {} left", counted(left, "replica")),
        });
    }
    for controller in view.controllers.iter().filter(|controller| !controller.voter) {
        notices.push(format!(
            "controller {} ({}) is a learner: it is catching up",
            controller.node_id, controller.address
        ));
    }
    notices
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::ControllerInfo;

    use super::*;

    fn view() -> DescribeClusterResponse {
        DescribeClusterResponse {
            cluster_id: vec![7; 16].into(),
            index: 12,
            term: 3,
            active_controller: Some(5),
            controllers: vec![ControllerInfo {
                node_id: 5,
                address: "127.0.0.1:9401".into(),
                voter: true,
                ..ControllerInfo::default()
            }],
            brokers: vec![BrokerInfo { broker_id: 1, client_address: "127.0.0.1:9201".into(), ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn a_healthy_cluster_says_so() {
        assert!(
            summary(&view(), &Silent::default()).starts_with("cluster: healthy\n"),
            "{}",
            summary(&view(), &Silent::default())
        );
        let text = as_text(&view(), &Silent::default());
        assert!(text.contains("active") && text.contains("alive"), "{text}");
    }

    #[test]
    fn what_is_under_way_is_told_and_is_no_problem() {
        let mut view = view();
        view.moving_partition_count = 2;
        view.move_bytes_per_second = 50_000_000;
        view.brokers[0].draining = true;
        view.brokers[0].replica_count = 7;
        view.controllers.push(ControllerInfo {
            node_id: 9,
            address: "127.0.0.1:9402".into(),
            ..ControllerInfo::default()
        });
        let expected = [
            "2 partitions are moving: holdfast partition ls --moving",
            "each broker copies at most 50.0 MB/s for moves",
            "broker 1 is being drained, 7 replicas left",
            "controller 9 (127.0.0.1:9402) is a learner: it is catching up",
        ];
        assert_eq!(notices(&view), expected);
        let text = as_text(&view, &Silent::default());
        assert!(text.starts_with("cluster: healthy\n") && text.contains(expected[2]), "{text}");
    }

    #[test]
    fn a_node_that_does_not_answer_is_shown_and_is_a_problem() {
        let silent = Silent { brokers: [1].into(), controllers: [5].into() };
        let text = as_text(&view(), &silent);
        let expected = "cluster: 1 of 1 brokers not answering, 1 of 1 controllers not answering\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("active, not answering") && text.contains("alive, not answering"), "{text}");
        let json = as_json(&view(), &silent);
        assert_eq!([&json["brokers"][0]["not_answering"], &json["controllers"][0]["not_answering"]], [true, true]);
    }

    #[test]
    fn problems_are_named_worst_first() {
        let mut view = view();
        view.active_controller = None;
        view.offline_partition_count = 1;
        view.under_replicated_partition_count = 6;
        view.brokers[0].fenced = true;
        let expected = [
            "no controller is active",
            "1 partition is offline (no leader)",
            "6 partitions are under-replicated",
            "1 of 1 brokers fenced",
        ];
        assert_eq!(problems(&view, &Silent::default()), expected);
        assert_eq!(as_json(&view, &Silent::default())["problems"][0], expected[0]);
    }
}
