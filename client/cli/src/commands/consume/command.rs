//! The flags of `holdfast consume`.

use std::time::Duration;

use clap::Args;

use crate::{connect::Connect, format::Format, units::parse_pause};

const HELP: &str = "\
Examples:
  holdfast consume orders              from beginning to end, then stop
  holdfast consume orders -f -s end    what comes from now on, until Ctrl-C
  holdfast consume orders -n 5 --format '%p %o %k=%s\\n'
  holdfast consume orders -s @-1h -o json | jq .value

Format, with kcat's tokens:
  %t topic   %p partition   %o offset   %T time, ms since 1970
  %k key     %K its size    %s value    %S its size (-1: none)
  %h headers                %% a percent sign
  and \\n \\t \\r \\0 \\\\ \\xNN

Where to start:
  beginning (default)    end
  42                     this offset
  -10                    the last ten of each partition
  @2026-01-31T12:00:00Z  this time
  @1767225600000         this time, ms since 1970
  @-15m                  a quarter of an hour ago

-o json prints one object a line. -o is the output everywhere; offsets are -s.";

/// Arguments of `holdfast consume`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ConsumeArgs {
    #[command(flatten)]
    pub(super) connect: Connect,
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    pub(super) topic: String,
    /// Continue at the end: wait for new records, until Ctrl-C.
    #[arg(short, long, conflicts_with = "until_end")]
    pub(super) follow: bool,
    /// Stop at the end as it is when the command starts; the default.
    #[arg(short = 'e', long)]
    pub(super) until_end: bool,
    /// Where to start; see below.
    #[arg(short = 's', long, value_name = "WHERE", default_value = "beginning", allow_hyphen_values = true)]
    pub(super) offset: Start,
    /// Stop after so many records.
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) count: Option<u64>,
    /// The partitions, as 0,2 [default: all].
    #[arg(short, long, value_name = "N", value_delimiter = ',')]
    pub(super) partition: Vec<u32>,
    /// Go on behind what is damaged; the offsets are told, and the exit code is 3.
    #[arg(long)]
    pub(super) skip_corrupt: bool,
    /// How to print a record; see below.
    #[arg(short = 'F', long, value_name = "FORMAT", default_value = "%s\\n")]
    pub(super) format: Format,
}

/// The offset to begin at, as a number, from the end, or by time in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    End,
    At(u64),
    Last(u64),
    Time(i64),
    Ago(Duration),
}

impl Start {
    /// The same place for every later look: a time that is told from now on back does not move.
    pub(super) fn fixed(self, now_ms: i64) -> Self {
        match self {
            Self::Ago(span) => Self::Time(now_ms.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))),
            Self::Beginning | Self::End | Self::At(_) | Self::Last(_) | Self::Time(_) => self,
        }
    }
}

impl std::str::FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("unknown start '{text}'; known: beginning, end, 42, -10, @time and @-15m");
        match text {
            "beginning" | "earliest" | "start" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            if let Some(ago) = time.strip_prefix('-') {
                return parse_pause(ago).map(Self::Ago).map_err(|_| wrong());
            }
            if let Ok(ms) = time.parse() {
                return Ok(Self::Time(ms));
            }
            return time.parse::<jiff::Timestamp>().map(|time| Self::Time(time.as_millisecond())).map_err(|_| wrong());
        }
        match text.strip_prefix('-') {
            Some(last) => last.parse().map(Self::Last).map_err(|_| wrong()),
            None => text.parse().map(Self::At).map_err(|_| wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: ConsumeArgs,
    }

    #[test]
    fn every_place_to_start_is_understood() {
        let check = |text: &str, expected| {
            let flags = Flags::parse_from(["consume", "orders", "-s", text]);
            assert_eq!(flags.args.offset, expected, "{text}");
        };
        check("beginning", Start::Beginning);
        check("end", Start::End);
        check("42", Start::At(42));
        check("-10", Start::Last(10));
        check("@1767225600000", Start::Time(1_767_225_600_000));
        check("@2026-01-01T00:00:00Z", Start::Time(1_767_225_600_000));
        check("@-15m", Start::Ago(Duration::from_mins(15)));
        for wrong in ["", "@", "@-", "@-5y", "--5", "4.2", "@yesterday", "middle"] {
            assert!(Flags::try_parse_from(["consume", "orders", "-s", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_before_now_is_the_same_for_every_look() {
        assert_eq!(Start::Ago(Duration::from_millis(300)).fixed(1_000), Start::Time(700));
        assert_eq!(Start::Last(3).fixed(1_000), Start::Last(3));
    }

    #[test]
    fn following_and_stopping_exclude_each_other() {
        assert!(Flags::try_parse_from(["consume", "orders", "-f", "-e"]).is_err());
        let flags = Flags::parse_from(["consume", "orders", "-p", "0,2", "-n", "5"]);
        assert_eq!((flags.args.partition, flags.args.count), (vec![0, 2], Some(5)));
    }

    #[test]
    fn a_bad_format_is_refused_with_what_there_is() {
        let error = Flags::try_parse_from(["consume", "orders", "--format", "%q"]).err().unwrap().to_string();
        assert!(error.contains("%t %p %o"), "{error}");
    }
}
