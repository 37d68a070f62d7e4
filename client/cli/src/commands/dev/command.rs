//! `holdfast dev`: a cluster of processes on this machine.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::json;

use holdfast_checker::text::bytes;
use holdfast_local::{
    ClusterSpec, Lifetime, NodeName, NodeStatus, ProcessCluster, Programs, Role, Setting, process::ProcessState,
    state::State,
};
use holdfast_proto::v1::DescribeClusterResponse;

use crate::{
    commands::cluster::Silent,
    exit::{Failure, Result},
    folder::default_dir,
    output::{Output, OutputFlag, confirm, note, print_json, print_table, say},
    units::parse_duration,
};

/// How long a node may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(15);

const UP_EXAMPLES: &str = "\
Examples:
  # 3 controllers and 3 brokers; the first serves clients at 127.0.0.1:9201
  holdfast dev up
  holdfast dev up -n 5 --base-port 0       five brokers, on free ports
  holdfast dev up --foreground             stay, end everything at Ctrl-C
  holdfast dev up --set log_level=debug    a setting of every node

A folder keeps its cluster: after `dev down`, `dev up` goes on with the
same data; `dev down --wipe` removes it.";

const DOWN_EXAMPLES: &str = "\
Examples:
  # the data stays: `dev up` starts the same cluster again
  holdfast dev down
  # removes the data, without a question
  holdfast dev down --wipe --yes";

const ADD_EXAMPLES: &str = "\
Examples:
  holdfast dev add && holdfast partition rebalance";

const STATUS_EXAMPLES: &str = "\
Examples:
  holdfast dev status
  holdfast dev status -o json | jq -r .bootstrap";

const LOGS_EXAMPLES: &str = "\
Examples:
  holdfast dev logs broker-1
  holdfast dev logs controller-2 -n 50";

const KILL_EXAMPLES: &str = "\
Examples:
  holdfast dev kill broker-1
  holdfast dev kill broker-1 broker-2    two brokers at once";

const SUSPEND_EXAMPLES: &str = "\
Examples:
  holdfast dev suspend controller-2    it hangs, with its connections open";

const RESUME_EXAMPLES: &str = "\
Examples:
  holdfast dev resume controller-2    it goes on where it was";

const STOP_EXAMPLES: &str = "\
Examples:
  holdfast dev stop broker-1    it hands over its leaderships first";

const START_EXAMPLES: &str = "\
Examples:
  holdfast dev start broker-1    after `dev stop` or `dev kill`";

const RESTART_EXAMPLES: &str = "\
Examples:
  holdfast dev restart broker-1
  # one after another, each as soon as the one before is ready
  holdfast dev restart broker-1 broker-2 broker-3";

/// How long a node that was started may take until it is ready.
const READY_PATIENCE: Duration = Duration::from_mins(1);

/// Arguments of `holdfast dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder of the cluster.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "HOLDFAST_DEV_DIR",
        default_value_os_t = default_dir(),
        help_heading = "Common options",
        display_order = 3
    )]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: DevCommand,
}

#[derive(Debug, Subcommand)]
enum DevCommand {
    /// Start a cluster of real processes on loopback, and wait until it is ready.
    #[command(after_help = UP_EXAMPLES)]
    Up(UpArgs),
    /// End the cluster: its brokers hand over and flush, then its controllers.
    #[command(after_help = DOWN_EXAMPLES, args = OutputFlag::hidden())]
    Down {
        /// Remove its data, logs and configuration as well.
        #[arg(long)]
        wipe: bool,
        /// Answer the question with yes.
        #[arg(short, long)]
        yes: bool,
    },
    /// Add a broker and start it; `holdfast partition rebalance` then gives it its share.
    #[command(after_help = ADD_EXAMPLES, args = OutputFlag::hidden())]
    Add,
    /// Show each node: process, addresses, memory, log.
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Kill a node with SIGKILL, as a crash would.
    #[command(after_help = KILL_EXAMPLES, args = OutputFlag::hidden())]
    Kill(NodesArgs),
    /// Suspend a node (SIGSTOP), as a hanging machine would.
    #[command(after_help = SUSPEND_EXAMPLES, args = OutputFlag::hidden())]
    Suspend(NodesArgs),
    /// Resume a suspended node (SIGCONT).
    #[command(alias = "cont", after_help = RESUME_EXAMPLES, args = OutputFlag::hidden())]
    Resume(NodesArgs),
    /// End a node in order (SIGTERM), as an upgrade would.
    #[command(after_help = STOP_EXAMPLES, args = OutputFlag::hidden())]
    Stop(NodesArgs),
    /// Start a node that does not run.
    #[command(after_help = START_EXAMPLES, args = OutputFlag::hidden())]
    Start(NodesArgs),
    /// End a node in order (SIGTERM) if it runs, and start it.
    #[command(after_help = RESTART_EXAMPLES, args = OutputFlag::hidden())]
    Restart(NodesArgs),
    /// Print the end of a node's log, as far as it was written since the node was last started.
    #[command(after_help = LOGS_EXAMPLES, args = OutputFlag::hidden())]
    Logs {
        /// The node, as broker-1 or controller-2.
        #[arg(value_name = "NODE")]
        node: NodeName,
        /// How many lines; no more than the last 16 KiB hold.
        #[arg(short = 'n', long, value_name = "N", default_value_t = 12)]
        lines: usize,
    },
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Number of brokers [default: 3, or as the folder has it].
    #[arg(short = 'n', long, value_name = "N")]
    brokers: Option<u32>,
    /// Number of controllers [default: 3, or as the folder has it].
    #[arg(long, value_name = "N")]
    controllers: Option<u32>,
    /// Broker n serves clients at this port plus n, 0 picks free ports [default: 9200, or as the folder has it].
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// Stay, and end everything at Ctrl-C or SIGTERM.
    #[arg(long)]
    foreground: bool,
    /// How long to wait until the cluster is ready.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    timeout: Duration,
    /// A setting of every node.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// A setting of every broker.
    #[arg(long, value_name = "KEY=VALUE")]
    broker_set: Vec<Setting>,
    /// A setting of every controller.
    #[arg(long, value_name = "KEY=VALUE")]
    controller_set: Vec<Setting>,
}

#[derive(Debug, Args)]
struct NodesArgs {
    /// The nodes, as broker-1 or controller-2.
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<NodeName>,
}

/// Starts, ends or changes the cluster of processes in the folder; a command other than `up` needs one there.
pub async fn run(args: DevArgs, output: Output) -> Result {
    let dir = args.data_dir;
    let open = || Ok::<_, Failure>(ProcessCluster::open(&dir, Programs::find()?)?);
    match args.command {
        DevCommand::Up(up) => self::up(dir, up, output).await,
        DevCommand::Down { wipe, yes } => down(open()?, wipe, yes).await,
        DevCommand::Add => {
            let mut cluster = open()?;
            let node = cluster.add_broker()?;
            cluster.start(node)?;
            wait(&mut cluster, node, "added; it has no replica yet: holdfast partition rebalance").await
        }
        DevCommand::Status => status(open()?, output).await,
        DevCommand::Kill(args) => {
            let mut cluster = open()?;
            each(&args, |node| cluster.kill(node), "killed")
        }
        DevCommand::Suspend(args) => {
            let mut cluster = open()?;
            each(&args, |node| cluster.suspend(node), "suspended")
        }
        DevCommand::Resume(args) => {
            let mut cluster = open()?;
            each(&args, |node| cluster.resume(node), "goes on")
        }
        DevCommand::Stop(args) => {
            let mut cluster = open()?;
            for node in args.nodes {
                let is_graceful = cluster.terminate(node, GRACE).await?;
                say(format!("{node} {}", if is_graceful { "ended" } else { "did not end in time and was killed" }))?;
            }
            Ok(())
        }
        DevCommand::Start(args) => {
            let mut cluster = open()?;
            // All before any is waited for, in whatever order they are named: no broker is ready without a controller.
            for node in &args.nodes {
                cluster.start(*node)?;
            }
            for node in args.nodes {
                wait(&mut cluster, node, "started").await?;
            }
            Ok(())
        }
        DevCommand::Restart(args) => {
            let mut cluster = open()?;
            for node in args.nodes {
                cluster.restart(node, GRACE).await?;
                wait(&mut cluster, node, "restarted").await?;
            }
            Ok(())
        }
        DevCommand::Logs { node, lines } => Ok(say(open()?.tail(node, lines)?)?),
    }
}

/// Waits until a node that was started is ready, and says what was done.
async fn wait(cluster: &mut ProcessCluster, node: NodeName, done: &str) -> Result {
    note(format!("waiting for {node} to be ready"));
    cluster.wait_node(node, READY_PATIENCE).await?;
    Ok(say(format!("{node} {done}"))?)
}

fn each(
    args: &NodesArgs,
    mut act: impl FnMut(NodeName) -> std::result::Result<(), holdfast_local::Error>,
    done: &str,
) -> Result {
    for node in &args.nodes {
        act(*node)?;
        say(format!("{node} {done}"))?;
    }
    Ok(())
}

async fn up(dir: PathBuf, args: UpArgs, output: Output) -> Result {
    let stored = match State::load(&dir) {
        Ok(state) => Some(state),
        Err(holdfast_local::Error::NoCluster { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let count = |role| stored.as_ref().map_or(3, |state| state.count(role));
    let settings = |own: Vec<Setting>, stored: Option<Vec<Setting>>| {
        let given: Vec<_> = args.set.iter().cloned().chain(own).collect();
        if given.is_empty() { stored.unwrap_or_default() } else { given }
    };
    let spec = ClusterSpec {
        brokers: args.brokers.unwrap_or_else(|| count(Role::Broker)),
        controllers: args.controllers.unwrap_or_else(|| count(Role::Controller)),
        base_port: args.base_port,
        broker_settings: settings(args.broker_set, stored.as_ref().map(|state| state.broker_settings.clone())),
        controller_settings: settings(
            args.controller_set,
            stored.as_ref().map(|state| state.controller_settings.clone()),
        ),
        programs: Programs::find()?,
        lifetime: if args.foreground { Lifetime::Tied } else { Lifetime::Detached },
        dir,
    };
    let patience = args.timeout;
    // Before anything starts, so that an early Ctrl-C ends what has started by then.
    let mut signals = crate::signals::Signals::listen()?;
    let mut cluster = tokio::select! {
        cluster = start(&spec, patience) => cluster?,
        code = signals.wait() => return Err(Failure::new(code, "interrupted; what had started was ended")),
    };
    print_status(&mut cluster, output)?;
    if output == Output::Table {
        say(format!("\nexport HOLDFAST_BOOTSTRAP={}", cluster.bootstrap().join(",")))?;
    }
    if args.foreground {
        note("running in the foreground; Ctrl-C ends the cluster");
        signals.wait().await;
        end(&mut cluster).await?;
    }
    Ok(())
}

/// Starts the cluster; when this future is dropped, what has started by then ends.
async fn start(spec: &ClusterSpec, patience: Duration) -> std::result::Result<ProcessCluster, holdfast_local::Error> {
    struct Guard(Option<ProcessCluster>);
    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some(cluster) = &mut self.0 {
                cluster.kill_all();
            }
        }
    }
    let mut guard = Guard(Some(ProcessCluster::create(spec)?));
    if let Some(cluster) = &mut guard.0 {
        cluster.start_all()?;
        cluster.wait_ready(patience).await?;
        cluster.keep_settings(spec)?;
    }
    guard.0.take().ok_or_else(|| holdfast_local::Error::Spec("the cluster is gone".to_owned()))
}

async fn down(mut cluster: ProcessCluster, wipe: bool, yes: bool) -> Result {
    if wipe {
        confirm(&format!("This removes all data of the cluster in {}", cluster.dir().display()), yes)?;
    }
    end(&mut cluster).await?;
    if wipe {
        let dir = cluster.dir().to_path_buf();
        cluster.wipe()?;
        note(format!("{} is removed", dir.display()));
    }
    Ok(())
}

async fn end(cluster: &mut ProcessCluster) -> Result {
    let killed = cluster.down(GRACE).await?;
    for node in killed {
        note(format!(
            "{node} did not end within {} s and was killed; its log: {}",
            GRACE.as_secs(),
            cluster.log_path(node).display()
        ));
    }
    note("all nodes have ended");
    Ok(())
}

async fn status(mut cluster: ProcessCluster, output: Output) -> Result {
    if output == Output::Json {
        let bootstrap = cluster.bootstrap().join(",");
        let dir = cluster.dir().to_path_buf();
        return Ok(print_json(&json!({ "dir": dir, "bootstrap": bootstrap, "nodes": cluster.status() }))?);
    }
    print_status(&mut cluster, output)?;
    if cluster.status().iter().any(|node| node.state == ProcessState::Running) {
        match cluster.describe().await {
            Ok(view) => say(format!("\n{}", super::cluster::summary(&view, &silent(&cluster.status(), &view))))?,
            Err(error) => note(format!("\n{error}")),
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

fn print_status(cluster: &mut ProcessCluster, output: Output) -> Result {
    let nodes = cluster.status();
    if output == Output::Json {
        let (dir, bootstrap) = (cluster.dir(), cluster.bootstrap().join(","));
        return Ok(print_json(&json!({ "dir": dir, "bootstrap": bootstrap, "nodes": nodes }))?);
    }
    let rows = nodes.into_iter().map(|node| {
        [
            node.name.to_string(),
            format!("{:?}", node.state).to_lowercase(),
            node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            node.address,
            node.peer_address.unwrap_or_else(|| "-".to_owned()),
            node.resident_bytes.map_or_else(|| "-".to_owned(), bytes),
            node.log.display().to_string(),
        ]
    });
    Ok(print_table(["NODE", "STATE", "PID", "ADDRESS", "PEERS", "MEMORY", "LOG"], rows)?)
}
