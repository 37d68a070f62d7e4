//! The command `holdfast partition`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::{change, list, rebalance, recover};
use crate::{connect::Connect, exit::Result, output::Output};

/// Arguments of `holdfast partition`.
#[derive(Debug, Args)]
pub struct PartitionArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: PartitionCommand,
}

#[derive(Debug, Subcommand)]
enum PartitionCommand {
    /// Show where each partition's replicas are, and which of them are moving.
    #[command(visible_alias = "list", after_help = list::EXAMPLES)]
    Ls(list::ListArgs),
    /// Balance the loads of all brokers: show what would move, ask, and move it.
    #[command(after_help = rebalance::EXAMPLES)]
    Rebalance(rebalance::RebalanceArgs),
    /// Move one partition to the brokers that you name.
    #[command(after_help = change::MOVE_EXAMPLES)]
    Move(change::MoveArgs),
    /// Cancel moves under way: the replicas stay where they were.
    #[command(after_help = change::CANCEL_EXAMPLES)]
    Cancel(change::CancelArgs),
    /// Let a partition without a leader go on with a replica that may lack records.
    #[command(after_help = recover::EXAMPLES)]
    Recover(recover::RecoverArgs),
}

/// Shows replicas or starts moves of them, through any broker.
pub async fn run(args: PartitionArgs, output: Output) -> Result {
    let admin = args.connect.client().await?.admin();
    match args.command {
        PartitionCommand::Ls(args) => list::run(&admin, &args, output).await,
        PartitionCommand::Rebalance(args) => rebalance::run(&admin, &args, output).await,
        PartitionCommand::Move(args) => change::run_move(&admin, args, output).await,
        PartitionCommand::Cancel(args) => change::run_cancel(&admin, &args, output).await,
        PartitionCommand::Recover(args) => recover::run(&admin, args, output).await,
    }
}
