//! The command `holdfast audit`: its help, and which of its parts is run.

use clap::{Args, Subcommand};

use super::{
    flags::{LoadFlags, VerifyArgs},
    one_run, verify,
};
use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::Output,
};

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  holdfast audit --topic audit --create --duration 30s
  # until Ctrl-C or SIGTERM
  holdfast audit --topic audit --rate 5000 --size 1000
  # another shape, beside readers that stand still
  holdfast audit --topic wide --create --partitions 500 -r 2 \\
    --size 2MB -c max.message.bytes=16MiB --rate 20 -z lz4 \\
    --stopped-readers 8 --duration 1m
  # later: is all of it still there?
  holdfast audit verify --topic audit

The last line, here broken in two, is the account:
  acked=… read=… lost=0 duplicated=0 reordered=0 in_doubt=… refused=…
  longest_pause_ms=…
A pause is a time in which nothing was acknowledged although something waited:
longest_pause_ms of all partitions together, longest_partition_pause_ms of any
one. While it runs, a line every second on standard error tells the same.
Exit code 3 if a record is lost, duplicated or reordered.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  holdfast audit verify --topic audit
  # the acked= of all audits that wrote to it
  holdfast audit verify --topic audit --expect 120000

Every key that an audit wrote has dense numbers from 0 on, and an end marker
that says how many there must be. Also, records in each partition state how
far others were acknowledged: a partition that came back empty or short is
named, with the offsets that are gone. Exit code 3 if a record is lost,
duplicated or reordered, or a key has no end marker. Partitions of which no
record says what must be there are named too; that alone is no loss. Nor is
what retention removed below a log start offset: it counts as expired=, if
the settings of now explain it. By retention.bytes that much must be left; by
retention.ms what is gone must be older. Else it is lost: --allow-expired is
for who knows that retention kept less before. What operators gave up by a
recovery of a partition is shown, and counts as given_up=: it is lost too, by
a decision, and ends with 3 (but for --allow-given-up).";

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

/// Loads a topic and checks every record, or checks what earlier runs wrote. A lost record is
/// [`Code::Loss`](crate::exit::Code).
pub async fn run(args: AuditArgs, output: Output) -> Result {
    match (args.command, args.flags.topic.clone()) {
        (Some(AuditCommand::Verify(verify)), _) => verify::run(&args.connect, &verify, output).await,
        (None, Some(topic)) => one_run::run(&args.connect, &topic, &args.flags, output).await,
        (None, None) => Err(Failure::usage("name a --topic")),
    }
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
    fn the_topic_is_named_here_or_with_verify() {
        assert!(Flags::try_parse_from(["audit"]).is_err());
        assert!(Flags::try_parse_from(["audit", "-t", "a", "--partitions", "3"]).is_err(), "only with --create");
        assert!(Flags::try_parse_from(["audit", "-t", "a"]).is_ok());
        let args = Flags::try_parse_from(["audit", "verify", "-t", "a", "-b", "x:1"]).unwrap().args;
        assert!(matches!(args.command, Some(AuditCommand::Verify(VerifyArgs { expect: None, .. }))));
    }
}
