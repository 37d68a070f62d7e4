//! The command `holdfast bench`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::{consume, failover, latency, produce};
use crate::{connect::Connect, exit::Result, output::Output};

const EXAMPLES: &str = "\
Examples:
  holdfast bench produce -n 1000000 --size 1024          as fast as it goes
  holdfast bench produce -n 5000000 --size 100 -z lz4
  holdfast bench latency --rate 1000 --duration 30s      percentiles, without coordinated omission
  holdfast bench consume --topic orders
  holdfast bench failover --own --kills 20               kill -9 of leaders under load, in a cluster of its own

Each makes a topic of its own and deletes it afterwards, unless --topic names one.";

/// Arguments of `holdfast bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Throughput of producing, as fast as the cluster takes it.
    #[command(after_help = EXAMPLES)]
    Produce(produce::ProduceArgs),
    /// Throughput of reading a topic from its beginning to its end.
    #[command(after_help = EXAMPLES)]
    Consume(consume::ConsumeArgs),
    /// Latency of producing at a fixed rate, counted from when each record was due.
    #[command(after_help = EXAMPLES)]
    Latency(latency::LatencyArgs),
    /// Pauses after kill -9 of leaders, under a load at a fixed rate; ends with an audit of every record.
    #[command(after_help = EXAMPLES)]
    Failover(failover::FailoverArgs),
}

/// Makes one measurement and prints it.
pub async fn run(args: BenchArgs, output: Output) -> Result {
    let connect = &args.connect;
    match args.command {
        BenchCommand::Produce(args) => produce::run(connect, args, output).await,
        BenchCommand::Consume(args) => consume::run(connect, args, output).await,
        BenchCommand::Latency(args) => latency::run(connect, args, output).await,
        BenchCommand::Failover(args) => failover::run(args, output).await,
    }
}
