//! `holdfast cluster status`.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::timeout;

use holdfast_checker::text::{counted, grouped, render_table};
use holdfast_client::admin::Admin;
use holdfast_local::{Role, ports::address, state::State};
use holdfast_proto::{
    ids::ClusterId,
    v1::{BrokerInfo, DescribeClusterResponse},
};

use super::{clock, damaged, notices, quorum, recovered, recoveries, silent::Silent, trouble};
use crate::{
    commands::broker,
    connect::Connect,
    exit::Result,
    folder::local_cluster,
    newest::{is_empty, newest},
    output::{Output, print_json, say},
    unopened,
    width::fit,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  holdfast cluster status
  holdfast cluster status -o json | jq .offline_partition_count
  holdfast cluster status -o json | jq '.troubled_partitions[].remedy'";

/// How long the leaders of all partitions are looked for.
const LOOK_UP: Duration = Duration::from_secs(2);

pub(super) async fn run(connect: &Connect, admin: &Admin, output: Output) -> Result {
    let mut view = look(connect, admin).await?;
    let silent = Silent::find(admin, &view).await;
    let mut notices = notices::notices(&view);
    // What is going on is told beside the rest, and holds it up by little.
    let names_topics = damaged::count(&view) + unopened::count(&view) > 0 || view.brokers.iter().any(notices::is_idle);
    let look_up = async { if names_topics { admin.list_topics().await.unwrap_or_default() } else { Vec::new() } };
    let topics = timeout(LOOK_UP, look_up).await.unwrap_or_default();
    notices.extend(notices::returning(&view, &topics));
    notices.extend(damaged::notices(&view, &topics));
    notices.extend(unopened::notices(&view, &topics));
    unopened::mark_troubled(&mut view, &topics);
    let status = Status { view, silent, notices, names: node_names() };
    match output {
        Output::Json => print_json(&status.as_json()),
        Output::Table => say(status.as_text()),
    }
    Ok(())
}

/// What the controllers say. Where none is active, whichever a broker asked answers, and another may know more: one that
/// began with an empty folder knows nothing.
async fn look(connect: &Connect, admin: &Admin) -> Result<DescribeClusterResponse> {
    let view = admin.describe_cluster().await?;
    if view.active_controller.is_some() {
        return Ok(view);
    }
    let told = view.controllers.iter().map(|controller| controller.address.clone());
    // One that knows nothing names no other; of a local cluster they are known all the same.
    let local = |state: State| {
        let controllers = state.nodes.into_iter().filter(|node| node.name.role == Role::Controller);
        controllers.map(|node| address(node.ports.main)).collect::<Vec<_>>()
    };
    let local = connect.local().map(local).unwrap_or_default().into_iter().filter(|_| is_empty(&view));
    let addresses: Vec<_> = told.chain(local).collect();
    let answers = admin.describe_each(&addresses, LOOK_UP).await;
    let same = |other: &&DescribeClusterResponse| is_empty(&view) || other.cluster_id == view.cluster_id;
    let answers = answers.iter().flatten().filter(same);
    Ok(newest(answers.chain([&view])).cloned().unwrap_or_default())
}

/// The names by which `holdfast dev` calls its nodes, by their addresses; none where there is no such cluster.
fn node_names() -> BTreeMap<String, String> {
    let names =
        |state: State| state.nodes.iter().map(|node| (address(node.ports.main), node.name.to_string())).collect();
    local_cluster().map(names).unwrap_or_default()
}

/// The counts, and the verdict in the last line.
pub fn summary(view: &DescribeClusterResponse, silent: &Silent) -> String {
    let problems = problems(view, silent);
    let verdict = if problems.is_empty() { "healthy".to_owned() } else { problems.join(", ") };
    let counts = format!(
        "{}, {}, {}; metadata index {}, term {}",
        counted(view.brokers.len() as u64, "broker"),
        counted(view.topic_count, "topic"),
        counted(view.partition_count, "partition"),
        view.index,
        view.term
    );
    format!("{}\n{}", fit(&counts, " "), fit(&format!("cluster: {verdict}"), " "))
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
    problems.extend(damaged::problem(view));
    problems.extend(unopened::problem(view));
    if view.distrusted_replica_count > 0 {
        let noun = if view.distrusted_replica_count == 1 { "replica is" } else { "replicas are" };
        problems.push(format!("{} {noun} not believed", grouped(view.distrusted_replica_count)));
    }
    match view.unheard_brokers.len() {
        0 => {}
        1 => problems.push("1 broker is not heard since the controllers were recovered".to_owned()),
        count => problems.push(format!("{count} brokers are not heard since the controllers were recovered")),
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

/// Everything that is told.
struct Status {
    view: DescribeClusterResponse,
    silent: Silent,
    notices: Vec<String>,
    /// Names of nodes by their addresses, where they have any.
    names: BTreeMap<String, String>,
}

impl Status {
    fn as_json(&self) -> serde_json::Value {
        let Self { view, silent, notices, names } = self;
        let controllers: Vec<_> = view
            .controllers
            .iter()
            .map(|controller| {
                json!({
                    "node_id": controller.node_id,
                    "name": names.get(&controller.address),
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
            json["clock_distrust"] = clock::as_json(info);
            json["damaged"] = damaged::as_json(info);
            json["unopened"] = unopened::as_json(info);
            json
        };
        let brokers: Vec<_> = view.brokers.iter().map(broker).collect();
        let given_up = recoveries::as_json(view);
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
            "distrusted_replica_count": view.distrusted_replica_count,
            "recoveries": given_up["recoveries"],
            "controller_recoveries": given_up["controller_recoveries"],
            "lost_disks": given_up["lost_disks"],
            "unheard_brokers": view.unheard_brokers,
            "troubled_partitions": trouble::as_json(view),
            "problems": problems(view, silent),
            "notices": notices,
        })
    }

    fn as_text(&self) -> String {
        let Self { view, silent, notices, names } = self;
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
            let name = names.get(&controller.address).cloned().unwrap_or_else(|| "-".to_owned());
            [name, controller.node_id.to_string(), format!("{role}{silent}"), controller.address.clone()]
        });
        let mut parts = vec![format!("cluster id {id}, metadata version {}", view.metadata_version)];
        parts.push(render_table(["CONTROLLER", "ID", "STATE", "ADDRESS"], controllers));
        parts.push(broker::table(&view.brokers, &silent.brokers));
        let told: Vec<_> = notices.iter().map(|notice| fit(notice, " ")).collect();
        parts.extend(Some(told.join("\n")).filter(|text| !text.is_empty()));
        let troubles = [quorum::as_text(view, silent), recovered::waiting(view), trouble::as_text(view)];
        parts.extend(troubles.into_iter().filter(|text| !text.is_empty()));
        parts.extend(recoveries::summary(view).map(|text| fit(&text, " ")));
        let troubled = view.offline_partition_count.max(view.under_replicated_partition_count);
        if troubled > view.troubled_partitions.len() as u64 {
            parts.push("there are more: holdfast partition ls --troubled".to_owned());
        }
        parts.push(summary(view, silent));
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::ControllerInfo;

    use super::*;
    use crate::width::WIDTH;

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

    fn status(view: DescribeClusterResponse, silent: Silent) -> Status {
        let names = [("127.0.0.1:9401".to_owned(), "controller-1".to_owned())].into();
        Status { view, silent, notices: vec!["something goes on".to_owned()], names }
    }

    #[test]
    fn a_healthy_cluster_says_so_in_the_last_line() {
        let text = summary(&view(), &Silent::default());
        assert!(text.ends_with("\ncluster: healthy"), "{text}");
        let text = status(view(), Silent::default()).as_text();
        assert!(text.contains("active") && text.contains("alive") && text.contains("something goes on"), "{text}");
        assert!(text.ends_with("\ncluster: healthy"), "{text}");
    }

    #[test]
    fn controllers_have_the_names_that_the_local_cluster_gives_them() {
        let mut view = view();
        view.controllers.push(ControllerInfo {
            node_id: 6,
            address: "10.0.0.1:9401".into(),
            voter: true,
            ..Default::default()
        });
        let status = status(view, Silent::default());
        let text = status.as_text();
        let rows = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        let rows: Vec<_> = rows.filter(|row| row.len() == 2 && ["5", "6"].contains(&row[1])).collect();
        assert_eq!(rows, [["controller-1", "5"], ["-", "6"]], "{text}");
        let json = status.as_json();
        assert_eq!(json["controllers"][0]["name"], "controller-1");
        assert!(json["controllers"][1]["name"].is_null(), "{json}");
    }

    #[test]
    fn the_widest_local_cluster_fits_a_narrow_terminal() {
        let mut view = view();
        view.controllers[0].node_id = u64::MAX;
        view.active_controller = Some(u64::MAX);
        view.brokers[0] = BrokerInfo {
            client_address: "127.0.0.1:65535".into(),
            replica_count: 10_000,
            leader_count: 10_000,
            draining: true,
            broker_id: 50,
            ..Default::default()
        };
        (view.offline_partition_count, view.under_replicated_partition_count) = (10_000, 10_000);
        view.under_min_isr_partition_count = 10_000;
        let silent = Silent { brokers: [50].into(), controllers: [u64::MAX].into() };
        let text = status(view, silent).as_text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_node_that_does_not_answer_is_shown_and_is_a_problem() {
        let silent = Silent { brokers: [1].into(), controllers: [5].into() };
        let status = status(view(), silent);
        let text = status.as_text();
        let expected = "\ncluster: 1 of 1 brokers not answering, 1 of 1 controllers not answering";
        assert!(text.ends_with(expected), "{text}");
        assert!(text.contains("active, not answering") && text.contains("alive, not answering"), "{text}");
        let json = status.as_json();
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
        assert_eq!(status(view, Silent::default()).as_json()["problems"][0], expected[0]);
    }
}
