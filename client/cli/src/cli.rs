//! The flags of all commands, and where each goes.

use clap::{Parser, Subcommand};

use crate::commands;
use crate::dev::process::LaunchArgs;
use crate::exit::{self, Result};
use crate::output::Output;

/// A partitioned, replicated message log that keeps what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = exit::HELP, disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    /// How to print results.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A local cluster of real processes: start, end, kill, inspect.
    Dev(commands::dev::DevArgs),
    /// Prepares a process and becomes a node's program.
    #[command(hide = true)]
    Launch(LaunchArgs),
}

/// Runs the command that the flags name.
pub async fn run(cli: Cli) -> Result {
    match cli.command {
        Command::Dev(args) => commands::dev::run(args, cli.output).await,
        Command::Launch(args) => commands::dev::launch(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
