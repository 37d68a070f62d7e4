//! `holdfast audit`: a load whose every record is followed to its end, and its account.
//!
//! - [`load`]: produces numbered records at a rate, and keeps the account. [`live`]: consumes them at the same time.
//! - [`run`]: both, then reads everything back and judges. [`report`]: how the account is printed.
//! - [`verify`]: judges later, in a fresh process, what audits wrote before.
//!
//! Each run has an id of its own and each of its producers a key per partition, so several runs may share a topic, at the
//! same time as well.

use std::time::Duration;

use clap::{Args, Subcommand};

use holdfast_local::Setting;

use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::Output,
};

mod live;
mod load;
mod report;
mod run;
mod verify;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  holdfast audit --topic audit --create --duration 30s
  holdfast audit --topic audit --rate 5000 --size 1000       until Ctrl-C or SIGTERM
  holdfast audit verify --topic audit                        later: is all of it still there?

The last line is the account:
  acked=… read=… lost=0 duplicated=0 reordered=0 in_doubt=… refused=… longest_pause_ms=…
A pause is a time in which nothing was acknowledged although something waited: longest_pause_ms of all partitions
together, longest_partition_pause_ms of any one. While it runs, a line every second on standard error tells the same.
Exit code 3 if a record is lost, duplicated or reordered.";

const VERIFY_EXAMPLES: &str = "\
Every key that an audit wrote has dense numbers from 0 on, and a last word that says how many there must be.
Examples:
  holdfast audit verify --topic audit
  holdfast audit verify --topic audit --expect 120000        the acked= of all audits that wrote to it

Exit code 3 if a record is lost, duplicated or reordered, or a key has no last word.";

/// Arguments of `holdfast audit`.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct AuditArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    flags: LoadFlags,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check what audits wrote to a topic before.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct LoadFlags {
    /// The topic.
    #[arg(short, long, value_name = "TOPIC", required = true)]
    topic: Option<String>,
    /// Make the topic, if it is not there.
    #[arg(long)]
    create: bool,
    /// Partitions of the topic that is made [default: the cluster's].
    #[arg(short, long, value_name = "N", requires = "create", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: Option<u32>,
    /// Replicas of the topic that is made [default: the cluster's].
    #[arg(short, long, visible_alias = "replicas", value_name = "N", requires = "create")]
    replication_factor: Option<u32>,
    /// A setting of the topic that is made.
    #[arg(short, long = "config", value_name = "KEY=VALUE", requires = "create")]
    configs: Vec<Setting>,
    /// How long to produce, as 500ms, 30s, 5m, 1h [default: until Ctrl-C or SIGTERM].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Records a second, of all producers together.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// Size of a record's value, bytes.
    #[arg(short, long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=900_000))]
    size: u32,
    /// Producers, each with connections of its own; each writes to all partitions.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    producers: u32,
    /// How long a record may be on its way, retries included. Then it is refused, or in doubt.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    delivery_timeout: Duration,
    /// How long the cluster is awaited at the start.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    patience: Duration,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The topic.
    #[arg(short, long, value_name = "TOPIC")]
    topic: String,
    /// How many records must be there at least.
    #[arg(long, value_name = "N")]
    expect: Option<u64>,
    /// Accept keys without a last word: runs that were killed, or still go on.
    #[arg(long)]
    allow_unfinished: bool,
    /// How long the cluster is awaited at the start.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    patience: Duration,
}

/// Runs `holdfast audit`.
pub async fn run(args: AuditArgs, output: Output) -> Result {
    match (args.command, args.flags.topic.clone()) {
        (Some(AuditCommand::Verify(verify)), _) => verify::run(&args.connect, &verify, output).await,
        (None, Some(topic)) => run::run(&args.connect, &topic, &args.flags, output).await,
        (None, None) => Err(Failure::usage("name a --topic")),
    }
}

/// A time with its unit: ms, s, m, h.
fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let problem = || format!("'{text}' is no time; write 500ms, 30s, 5m or 1h");
    let number: u64 = text[..at].parse().map_err(|_| problem())?;
    let unit_ms = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(problem()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: AuditArgs,
    }

    #[test]
    fn times_have_units() {
        let ms = |text| parse_duration(text).map(|time| time.as_millis());
        assert_eq!([ms("500ms"), ms("30s"), ms("5m"), ms("1h")], [Ok(500), Ok(30_000), Ok(300_000), Ok(3_600_000)]);
        for text in ["", "5", "s", "-1s", "1d", "0s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_topic_is_named_here_or_with_verify() {
        assert!(Flags::try_parse_from(["audit"]).is_err());
        assert!(Flags::try_parse_from(["audit", "-t", "a", "--partitions", "3"]).is_err(), "only with --create");
        assert!(Flags::try_parse_from(["audit", "-t", "a"]).is_ok());
        let args = Flags::try_parse_from(["audit", "verify", "-t", "a", "-b", "x:1"]).unwrap().args;
        assert!(matches!(args.command, Some(AuditCommand::Verify(VerifyArgs { expect: None, .. }))));
    }
}
