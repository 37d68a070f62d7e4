//! The commands of `holdfast dev` and their flags.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use holdfast_local::{NodeName, Setting};

use crate::units::parse_duration;

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
  # removes the data; asks at a terminal
  holdfast dev down --wipe";

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

/// Arguments of `holdfast dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder of the cluster [default: HOLDFAST_DEV_DIR, or ~/.local/state/holdfast/dev].
    #[arg(long, global = true, value_name = "DIR", help_heading = "Common options", display_order = 3)]
    pub(super) data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: DevCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DevCommand {
    /// Start a cluster of real processes on loopback, and wait until it is ready.
    #[command(after_help = UP_EXAMPLES)]
    Up(UpArgs),
    /// End the cluster: its brokers hand over and flush, then its controllers.
    #[command(after_help = DOWN_EXAMPLES)]
    Down {
        /// Remove its data, logs and configuration as well.
        #[arg(long)]
        wipe: bool,
        /// Answer the question with yes.
        #[arg(short, long)]
        yes: bool,
    },
    /// Add a broker and start it; `holdfast partition rebalance` then gives it its share.
    #[command(after_help = ADD_EXAMPLES)]
    Add,
    /// Show each node: process, addresses, memory, log.
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Kill a node with SIGKILL, as a crash would.
    #[command(after_help = KILL_EXAMPLES)]
    Kill(NodesArgs),
    /// Suspend a node (SIGSTOP), as a hanging machine would.
    #[command(after_help = SUSPEND_EXAMPLES)]
    Suspend(NodesArgs),
    /// Resume a suspended node (SIGCONT).
    #[command(alias = "cont", after_help = RESUME_EXAMPLES)]
    Resume(NodesArgs),
    /// End a node in order (SIGTERM), as an upgrade would.
    #[command(after_help = STOP_EXAMPLES)]
    Stop(NodesArgs),
    /// Start a node that does not run.
    #[command(after_help = START_EXAMPLES)]
    Start(NodesArgs),
    /// End a node in order (SIGTERM) if it runs, and start it.
    #[command(after_help = RESTART_EXAMPLES)]
    Restart(NodesArgs),
    /// Print the end of a node's log, as far as it was written since the node was last started.
    #[command(after_help = LOGS_EXAMPLES)]
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
pub(super) struct UpArgs {
    /// Number of brokers [default: 3, or as the folder has it].
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) brokers: Option<u32>,
    /// Number of controllers [default: 3, or as the folder has it].
    #[arg(long, value_name = "N")]
    pub(super) controllers: Option<u32>,
    /// Broker n serves clients at this port plus n, 0 picks free ports. A folder keeps its ports: others are refused
    /// [default: 9200].
    #[arg(long, value_name = "PORT")]
    pub(super) base_port: Option<u16>,
    /// Stay, and end everything at Ctrl-C or SIGTERM.
    #[arg(long)]
    pub(super) foreground: bool,
    /// How long to wait until the cluster is ready.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    /// A setting of every node.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<Setting>,
    /// A setting of every broker.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) broker_set: Vec<Setting>,
    /// A setting of every controller.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) controller_set: Vec<Setting>,
}

#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// The nodes, as broker-1 or controller-2.
    #[arg(required = true, value_name = "NODE")]
    pub(super) nodes: Vec<NodeName>,
}
