//! `holdfast cluster`: the cluster as a whole.

use clap::{Args, Subcommand};
use holdfast_proto::ids::ClusterId;
use holdfast_proto::v1::DescribeClusterResponse;
use serde_json::json;

use crate::connect::Connect;
use crate::exit::Result;
use crate::output::{Output, counted, grouped, print_json, render_table, say};

const EXAMPLES: &str = "\
Examples:
  holdfast cluster status
  holdfast cluster status -o json | jq .offline_partition_count";

/// Arguments of `holdfast cluster`.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Show controllers, brokers, and partitions in trouble.
    #[command(after_help = EXAMPLES)]
    Status,
}

/// Runs `holdfast cluster`.
pub async fn run(args: ClusterArgs, output: Output) -> Result {
    match args.command {
        ClusterCommand::Status => {
            let view = args.connect.client().await?.admin().describe_cluster().await?;
            match output {
                Output::Json => print_json(&as_json(&view))?,
                Output::Table => say(as_text(&view))?,
            }
            Ok(())
        }
    }
}

/// A verdict and the counts behind it, in two lines.
pub fn summary(view: &DescribeClusterResponse) -> String {
    let problems = problems(view);
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
fn problems(view: &DescribeClusterResponse) -> Vec<String> {
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
    problems
}

fn as_json(view: &DescribeClusterResponse) -> serde_json::Value {
    let controllers: Vec<_> = view
        .controllers
        .iter()
        .map(|controller| {
            json!({
                "node_id": controller.node_id,
                "address": controller.address,
                "voter": controller.voter,
                "active": Some(controller.node_id) == view.active_controller,
            })
        })
        .collect();
    let brokers: Vec<_> = view
        .brokers
        .iter()
        .map(|broker| {
            json!({
                "broker_id": broker.broker_id,
                "client_address": broker.client_address,
                "peer_address": broker.peer_address,
                "rack": broker.rack,
                "fenced": broker.fenced,
                "shutting_down": broker.shutting_down,
                "broker_epoch": broker.broker_epoch,
            })
        })
        .collect();
    json!({
        "cluster_id": ClusterId::from_bytes(&view.cluster_id).map(|id| id.to_string()),
        "index": view.index,
        "term": view.term,
        "active_controller": view.active_controller,
        "controllers": controllers,
        "brokers": brokers,
        "topic_count": view.topic_count,
        "partition_count": view.partition_count,
        "offline_partition_count": view.offline_partition_count,
        "under_replicated_partition_count": view.under_replicated_partition_count,
        "under_min_isr_partition_count": view.under_min_isr_partition_count,
        "problems": problems(view),
    })
}

fn as_text(view: &DescribeClusterResponse) -> String {
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
        [controller.node_id.to_string(), controller.address.clone(), role.to_owned()]
    });
    let brokers = view.brokers.iter().map(|broker| {
        let state = match (broker.fenced, broker.shutting_down) {
            (true, _) => "fenced",
            (false, true) => "leaving",
            (false, false) => "alive",
        };
        let rack = if broker.rack.is_empty() { "-" } else { &broker.rack };
        [
            broker.broker_id.to_string(),
            broker.client_address.clone(),
            broker.peer_address.clone(),
            rack.to_owned(),
            state.to_owned(),
        ]
    });
    format!(
        "{}\ncluster id {id}\n\n{}\n\n{}",
        summary(view),
        render_table(["CONTROLLER", "ADDRESS", "STATE"], controllers),
        render_table(["BROKER", "CLIENTS", "PEERS", "RACK", "STATE"], brokers)
    )
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{BrokerInfo, ControllerInfo};

    use super::*;

    fn view() -> DescribeClusterResponse {
        DescribeClusterResponse {
            cluster_id: vec![7; 16].into(),
            index: 12,
            term: 3,
            active_controller: Some(5),
            controllers: vec![ControllerInfo { node_id: 5, address: "127.0.0.1:9401".into(), voter: true }],
            brokers: vec![BrokerInfo { broker_id: 1, client_address: "127.0.0.1:9201".into(), ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn a_healthy_cluster_says_so() {
        assert!(summary(&view()).starts_with("cluster: healthy\n"), "{}", summary(&view()));
        let text = as_text(&view());
        assert!(text.contains("active") && text.contains("alive"), "{text}");
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
        assert_eq!(problems(&view), expected);
        assert_eq!(as_json(&view)["problems"][0], expected[0]);
    }
}
