//! The command `holdfast quorum`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::{list, remove};
use crate::{connect::Connect, exit::Result, output::Output};

/// Arguments of `holdfast quorum`.
#[derive(Debug, Args)]
pub struct QuorumArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: QuorumCommand,
}

#[derive(Debug, Subcommand)]
enum QuorumCommand {
    /// Show the controllers of the quorum, and how many more of them may fail.
    #[command(visible_alias = "list", after_help = list::EXAMPLES)]
    Ls,
    /// Take a controller out of the quorum for good: one that is lost, or to have fewer of them.
    #[command(after_help = remove::EXAMPLES)]
    Remove(remove::RemoveArgs),
}

/// Shows the quorum or changes it, through any broker that answers.
pub async fn run(args: QuorumArgs, output: Output) -> Result {
    let admin = args.connect.client().await?.admin();
    match args.command {
        QuorumCommand::Ls => list::run(&admin, output).await,
        QuorumCommand::Remove(args) => remove::run(&admin, &args, output).await,
    }
}
