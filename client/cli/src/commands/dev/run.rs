//! What each command does with which nodes.

use std::time::Duration;

use serde_json::json;

use holdfast_local::{NodeName, ProcessCluster, Programs};

use super::{
    command::{DevArgs, DevCommand},
    down::{GRACE, down},
    status::status,
    told::Told,
    up::up,
};
use crate::{
    exit::{Failure, Result},
    folder::data_dir,
    output::{Output, note, print_json, say},
};

/// How long a node that was started may take until it is ready.
const READY_PATIENCE: Duration = Duration::from_mins(1);

/// Starts, ends or changes the cluster of processes in the folder; a command other than `up` needs one there.
pub async fn run(args: DevArgs, output: Output) -> Result {
    let dir = data_dir(args.data_dir);
    let open = || Ok::<_, Failure>(ProcessCluster::open(&dir, Programs::find()?)?);
    match args.command {
        DevCommand::Up(args) => up(dir, args, output).await,
        DevCommand::Down { wipe, yes } => down(open()?, wipe, yes, output).await,
        DevCommand::Status => status(open()?, output).await,
        DevCommand::Logs { node, lines } => logs(&open()?, node, lines, output),
        command => {
            let (mut cluster, mut told) = (open()?, Told::new(output));
            let result = change(&mut cluster, command, &mut told).await;
            told.end(result)
        }
    }
}

/// A command that does something with single nodes.
async fn change(cluster: &mut ProcessCluster, command: DevCommand, told: &mut Told) -> Result {
    match command {
        DevCommand::Add => {
            let node = cluster.add_broker()?;
            cluster.start(node)?;
            wait(cluster, node).await?;
            told.tell(node, "added; it has no replica yet: holdfast partition rebalance");
        }
        DevCommand::Kill(args) => {
            for node in args.nodes {
                cluster.kill(node)?;
                told.tell(node, "killed");
            }
        }
        DevCommand::Suspend(args) => {
            for node in args.nodes {
                cluster.suspend(node)?;
                told.tell(node, "suspended");
            }
        }
        DevCommand::Resume(args) => {
            for node in args.nodes {
                cluster.resume(node)?;
                told.tell(node, "goes on");
            }
        }
        DevCommand::Stop(args) => {
            for node in args.nodes {
                let is_graceful = cluster.terminate(node, GRACE).await?;
                told.tell(node, if is_graceful { "ended" } else { "did not end in time and was killed" });
            }
        }
        DevCommand::Start(args) => {
            // All before any is waited for, in whatever order they are named: no broker is ready without a controller.
            for node in &args.nodes {
                cluster.start(*node)?;
            }
            for node in args.nodes {
                wait(cluster, node).await?;
                told.tell(node, "started");
            }
        }
        DevCommand::Restart(args) => {
            for node in args.nodes {
                cluster.restart(node, GRACE).await?;
                wait(cluster, node).await?;
                told.tell(node, "restarted");
            }
        }
        DevCommand::Up(_) | DevCommand::Down { .. } | DevCommand::Status | DevCommand::Logs { .. } => {}
    }
    Ok(())
}

/// Waits until a node that was started is ready.
async fn wait(cluster: &mut ProcessCluster, node: NodeName) -> Result {
    note(format!("waiting for {node} to be ready"));
    Ok(cluster.wait_node(node, READY_PATIENCE).await?)
}

fn logs(cluster: &ProcessCluster, node: NodeName, lines: usize, output: Output) -> Result {
    let tail = cluster.tail(node, lines)?;
    match output {
        Output::Table => say(tail),
        Output::Json => print_json(&json!({ "node": node.to_string(), "lines": tail.lines().collect::<Vec<_>>() })),
    }
    Ok(())
}
