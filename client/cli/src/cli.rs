//! The flags of all commands, and where each goes.

use clap::{CommandFactory, Parser, Subcommand};

use holdfast_local::process::{LaunchArgs, launch};

use crate::{
    commands,
    connect::{self, Connect},
    exit::{self, Failure, Result},
    output::OutputFlag,
};

/// A partitioned, replicated message log that keeps what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP), disable_help_subcommand = true, max_term_width = 80)]
pub struct Cli {
    #[command(flatten)]
    output: OutputFlag,
    /// Before the command as well as after it: commands that need a cluster have the same flag.
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A local cluster of real processes: start, stop, kill, inspect.
    #[command(args = connect::hidden())]
    Dev(commands::dev::DevArgs),
    /// Topics: create, list, describe, change, delete.
    #[command(visible_alias = "t")]
    Topic(commands::topic::TopicArgs),
    /// Send records: lines of standard input or of files.
    #[command(visible_alias = "p")]
    Produce(commands::produce::ProduceArgs),
    /// Print the records of a topic.
    #[command(visible_alias = "c")]
    Consume(commands::consume::ConsumeArgs),
    /// Partitions: where their replicas are, and moving them.
    Partition(commands::partition::PartitionArgs),
    /// Brokers: what each carries, and emptying one before it goes.
    Broker(commands::broker::BrokerArgs),
    /// Controllers: their quorum, and taking one out of it.
    Quorum(commands::quorum::QuorumArgs),
    /// Controllers whose majority is lost: what to do, step by step.
    Controller(commands::controller::ControllerArgs),
    /// The cluster as a whole: controllers, brokers, partitions in trouble.
    Cluster(commands::cluster::ClusterArgs),
    /// How fast the cluster is, and how long it pauses when a leader is killed.
    Bench(commands::bench::BenchArgs),
    /// A load whose every record is followed, and its account: lost, duplicated, reordered, pauses.
    #[command(after_help = commands::audit::EXAMPLES)]
    Audit(commands::audit::AuditArgs),
    /// Real input through a cluster whose nodes are killed, and an account of every record.
    #[command(after_help = commands::demo::EXAMPLES, args = connect::hidden())]
    Demo(commands::demo::DemoArgs),
    /// Print a script that lets a shell complete these commands.
    #[command(after_help = commands::completion::EXAMPLES, args = connect::hidden(), args = OutputFlag::hidden())]
    Completion(commands::completion::CompletionArgs),
    /// Prepares a process and becomes a node's program.
    #[command(hide = true)]
    Launch(LaunchArgs),
}

const EXAMPLES: &str = "\
First steps:
  holdfast dev up                            a cluster on this machine
  holdfast topic create orders --partitions 6
  echo 'alice:2 apples' | holdfast produce orders -K:
  holdfast consume orders --format '%p %o %k %s\\n'
  holdfast dev kill broker-1 && holdfast cluster status
  holdfast dev down --wipe";

impl Cli {
    /// Becomes a node's program, if the flags say so. Returns if they do not, or if that fails.
    ///
    /// To be called before any thread is started: the kernel may drop a stop signal that meets a process of several
    /// threads while it becomes another program.
    pub fn launch(&self) -> Result {
        match &self.command {
            Command::Launch(args) => Err(Failure::error(launch(args).to_string())),
            _ => Ok(()),
        }
    }
}

/// Runs the command that the flags name.
pub async fn run(cli: Cli) -> Result {
    let output = cli.output.output;
    match cli.command {
        Command::Dev(args) => commands::dev::run(args, output).await,
        Command::Topic(args) => commands::topic::run(args, output).await,
        Command::Produce(args) => commands::produce::run(args, output).await,
        Command::Consume(args) => commands::consume::run(args, output).await,
        Command::Partition(args) => commands::partition::run(args, output).await,
        Command::Broker(args) => commands::broker::run(args, output).await,
        Command::Quorum(args) => commands::quorum::run(args, output).await,
        Command::Controller(args) => commands::controller::run(args, output).await,
        Command::Cluster(args) => commands::cluster::run(args, output).await,
        Command::Bench(args) => commands::bench::run(args, output).await,
        Command::Audit(args) => commands::audit::run(args, output).await,
        Command::Demo(args) => commands::demo::run(args, output).await,
        Command::Completion(args) => commands::completion::run(&args, Cli::command()),
        Command::Launch(args) => Err(Failure::error(launch(&args).to_string())),
    }
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod style_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
