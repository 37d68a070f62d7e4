//! How the nodes are: their processes, and what the cluster says of itself.

use serde_json::json;

use holdfast_checker::text::{bytes, render_table};
use holdfast_local::{NodeStatus, ProcessCluster, process::ProcessState};
use holdfast_proto::v1::DescribeClusterResponse;

use crate::{
    commands::cluster::{Silent, summary},
    exit::Result,
    output::{Output, note, print_json, say},
    width::fit,
};

pub(super) async fn status(mut cluster: ProcessCluster, output: Output) -> Result {
    if output == Output::Json {
        let bootstrap = cluster.bootstrap().join(",");
        let dir = cluster.dir().to_path_buf();
        print_json(&json!({ "dir": dir, "bootstrap": bootstrap, "nodes": cluster.status() }));
        return Ok(());
    }
    print_status(&mut cluster, output);
    if cluster.status().iter().any(|node| node.state == ProcessState::Running) {
        match cluster.describe().await {
            Ok(view) => say(format!("\n{}", summary(&view, &silent(&cluster.status(), &view)))),
            Err(error) => note(format!("\n{}", fit(&error.to_string(), " "))),
        }
    }
    Ok(())
}

/// Nodes whose process does not run though the controllers still count on it.
fn silent(nodes: &[NodeStatus], view: &DescribeClusterResponse) -> Silent {
    let ended = |address: &str| nodes.iter().any(|node| node.address == address && node.state != ProcessState::Running);
    let brokers = view.brokers.iter().filter(|broker| !broker.fenced && ended(&broker.client_address));
    let controllers = view.controllers.iter().filter(|controller| ended(&controller.address));
    Silent {
        brokers: brokers.map(|broker| broker.broker_id).collect(),
        controllers: controllers.map(|controller| controller.node_id).collect(),
    }
}

pub(super) fn print_status(cluster: &mut ProcessCluster, output: Output) {
    let nodes = cluster.status();
    if output == Output::Json {
        let (dir, bootstrap) = (cluster.dir(), cluster.bootstrap().join(","));
        print_json(&json!({ "dir": dir, "bootstrap": bootstrap, "nodes": nodes }));
        return;
    }
    let metrics = metrics(&nodes);
    say(table(nodes));
    if let Some(metrics) = metrics {
        say(metrics);
    }
    say(format!("logs: {}", cluster.dir().join("logs/NODE.log").display()));
}

/// Where the first broker's metrics are.
fn metrics(nodes: &[NodeStatus]) -> Option<String> {
    let (name, address) = nodes
        .iter()
        .rev()
        .filter(|node| node.name.number == 1)
        .find_map(|node| Some((node.name, node.metrics_address.as_ref()?)))?;
    Some(format!("metrics: http://{address}/metrics ({name}; of each node: -o json)"))
}

/// The nodes as a table, no wider than a narrow terminal.
fn table(nodes: impl IntoIterator<Item = NodeStatus>) -> String {
    let rows = nodes.into_iter().map(|node| {
        [
            node.name.to_string(),
            format!("{:?}", node.state).to_lowercase(),
            node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            node.address,
            node.peer_address.unwrap_or_else(|| "-".to_owned()),
            node.resident_bytes.map_or_else(|| "-".to_owned(), bytes),
        ]
    });
    render_table(["NODE", "STATE", "PID", "ADDRESS", "PEERS", "MEMORY"], rows)
}

#[cfg(test)]
mod tests {
    use holdfast_local::NodeName;

    use super::*;
    use crate::width::WIDTH;

    #[test]
    fn the_widest_node_fits_a_narrow_terminal() {
        let node = NodeStatus {
            name: NodeName::controller(9),
            state: ProcessState::Suspended,
            pid: Some(4_194_304),
            address: "127.0.0.1:65535".to_owned(),
            peer_address: Some("127.0.0.1:65535".to_owned()),
            metrics_address: Some("127.0.0.1:65535".to_owned()),
            resident_bytes: Some(999_900_000),
            log: "/a/folder/with/a/path/that/is/rather/long/logs/controller-9.log".into(),
        };
        let NodeStatus { name, .. } = node;
        let first = NodeStatus { name: NodeName { number: 1, ..name }, ..node.clone() };
        let metrics = metrics(&[first]).expect("it has some");
        assert!(
            metrics.contains("http://127.0.0.1:65535/metrics (controller-1") && metrics.len() <= WIDTH,
            "{metrics}"
        );
        let text = table([node]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("4194304") && text.contains("999.9 MB"), "{text}");
    }
}
