//! The command `holdfast cluster`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::{finalize, recoveries, status};
use crate::{connect::Connect, exit::Result, output::Output};

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
    /// Show controllers, brokers, moves, and partitions in trouble with what to do.
    #[command(after_help = status::EXAMPLES)]
    Status,
    /// Show what operators gave up: records, controllers, disks. The cluster keeps it for ever.
    #[command(after_help = recoveries::EXAMPLES)]
    Recoveries(recoveries::RecoveriesArgs),
    /// Use a newer metadata version, after all nodes were upgraded.
    #[command(after_help = finalize::EXAMPLES)]
    FinalizeVersion(finalize::FinalizeArgs),
}

/// Asks any broker that answers, which passes on what changes the cluster, and prints the result.
pub async fn run(args: ClusterArgs, output: Output) -> Result {
    let admin = args.connect.client().await?.admin();
    match args.command {
        ClusterCommand::Status => status::run(&args.connect, &admin, output).await,
        ClusterCommand::Recoveries(args) => recoveries::run(&admin, &args, output).await,
        ClusterCommand::FinalizeVersion(args) => finalize::run(&admin, &args, output).await,
    }
}
