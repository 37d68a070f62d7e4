//! The command `holdfast controller`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::recover;
use crate::{connect::Connect, exit::Result, output::Output};

/// Arguments of `holdfast controller`.
#[derive(Debug, Args)]
pub struct ControllerArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: ControllerCommand,
}

#[derive(Debug, Subcommand)]
enum ControllerCommand {
    /// Show how the controllers go on from one of them, where their majority is lost for good.
    #[command(after_help = recover::EXAMPLES)]
    Recover(recover::RecoverArgs),
}

/// Asks all nodes that answer, and prints what to do. Changes nothing, but for a folder that a flag names.
pub async fn run(args: ControllerArgs, output: Output) -> Result {
    match args.command {
        ControllerCommand::Recover(flags) => recover::run(&args.connect, &flags, output).await,
    }
}
