//! The command `holdfast bench`: its parts, and which of them is run.

use clap::{Args, Subcommand};

use super::{consume, failover, latency, produce};
use crate::{
    connect::{self, Connect},
    exit::Result,
    output::Output,
};

const PRODUCE_EXAMPLES: &str = "\
Examples:
  holdfast bench produce -n 1000000 --size 1024
  holdfast bench produce -n 5000000 --size 100 -z lz4

It makes a topic of its own and deletes it afterwards, unless --topic names
one.";

const CONSUME_EXAMPLES: &str = "\
Examples:
  holdfast bench consume --topic orders
  holdfast bench consume --topic orders --rounds 3    the fastest of three";

const LATENCY_EXAMPLES: &str = "\
Examples:
  holdfast bench latency --rate 1000 --duration 30s
  holdfast bench latency --acks leader --linger 1ms

It makes a topic of its own and deletes it afterwards, unless --topic names
one.";

const FAILOVER_EXAMPLES: &str = "\
Examples:
  # leaders of a cluster of its own
  holdfast bench failover --own --kills 20
  holdfast bench failover --own -n 5 --partitions 100 -r 5 --size 64KiB
  # the active controllers of the cluster of `holdfast dev`
  holdfast bench failover --controllers --kills 5

It makes a topic of its own and deletes it afterwards, unless --topic names
one.";

/// Arguments of `holdfast bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Throughput of producing, as fast as the cluster takes it.
    #[command(after_help = PRODUCE_EXAMPLES)]
    Produce(produce::ProduceArgs),
    /// Throughput of reading a topic from its beginning to its end.
    #[command(after_help = CONSUME_EXAMPLES)]
    Consume(consume::ConsumeArgs),
    /// Latency of producing at a fixed rate, counted from when each record was due.
    #[command(after_help = LATENCY_EXAMPLES)]
    Latency(latency::LatencyArgs),
    /// Pauses after kill -9 of leaders, under a load at a fixed rate; ends with an audit of every record.
    #[command(after_help = FAILOVER_EXAMPLES, args = connect::hidden())]
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
