//! `holdfast consume`: prints records.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    time::Duration,
};

use clap::Args;

use holdfast_client::{
    Client,
    consumer::{Consumer, Message, StartAt},
    offsets::{OffsetQuery, OffsetSpec},
};
use holdfast_proto::ids::{Offset, PartitionIndex, TimestampMs};

use crate::{
    connect::Connect,
    exit::{Failure, Result},
    format::{Format, View, write_json},
    output::Output,
    signals::Signals,
    units::parse_pause,
};

/// How long ends and offsets are looked for.
const LOOK_UP: Duration = Duration::from_secs(30);
/// How long one batch is waited for before the positions are looked at again.
const LOOK: Duration = Duration::from_millis(200);

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
    connect: Connect,
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Continue at the end: wait for new records, until Ctrl-C.
    #[arg(short, long, conflicts_with = "until_end")]
    follow: bool,
    /// Stop at the end as it is when the command starts; the default.
    #[arg(short = 'e', long)]
    until_end: bool,
    /// Where to start; see below.
    #[arg(short = 's', long, value_name = "WHERE", default_value = "beginning", allow_hyphen_values = true)]
    offset: Start,
    /// Stop after so many records.
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// The partitions, as 0,2 [default: all].
    #[arg(short, long, value_name = "N", value_delimiter = ',')]
    partition: Vec<u32>,
    /// How to print a record; see below.
    #[arg(short = 'F', long, value_name = "FORMAT", default_value = "%s\\n")]
    format: Format,
}

/// The offset to begin at, as a number, from the end, or by time in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Beginning,
    End,
    At(u64),
    Last(u64),
    Time(i64),
    Ago(Duration),
}

impl std::str::FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
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

/// Prints records until the end, the count or a signal; a signal is no failure while following.
pub async fn run(args: ConsumeArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    tokio::select! {
        result = consume(&args, output) => result,
        // To be interrupted is the usual end of following.
        code = signals.wait() => if args.follow { Ok(()) } else { Err(Failure::new(code, "")) },
    }
}

async fn consume(args: &ConsumeArgs, output: Output) -> Result {
    let client = args.connect.client().await?;
    let partitions = partitions(&client, args).await?;
    let starts = starts(&client, args, &partitions).await?;
    let assigned = starts.into_iter().map(|(partition, start)| (args.topic.as_str(), partition, start));
    let mut consumer = Consumer::builder(client).assign(assigned).build().await?;
    let mut ends = BTreeMap::new();
    if !args.follow {
        let found = consumer.end_offsets(LOOK_UP).await?;
        ends = consumer.assignment().map(|(_, partition)| partition).zip(found).collect();
    }
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 && (args.follow || !at_end(&consumer, &args.topic, &ends)?) {
        let batch = match tokio::time::timeout(LOOK, consumer.next_batch()).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return Err(Failure::error(format!("no partition of {} can be read any more", args.topic))),
            Err(_nothing_came) => continue,
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                out.flush()?;
                return Err(error.into());
            }
        };
        let end = ends.get(&batch.partition).copied();
        for message in batch.into_messages() {
            if left == 0 || end.is_some_and(|end| message.offset >= end) {
                break;
            }
            print(&mut out, &message, args, output)?;
            left -= 1;
        }
        // With --follow it is shown at once; in bulk the buffer is emptied when it is full.
        if args.follow {
            out.flush()?;
        }
    }
    Ok(out.flush()?)
}

async fn partitions(client: &Client, args: &ConsumeArgs) -> Result<Vec<PartitionIndex>> {
    let topic = client.admin().describe_topic(&args.topic).await?;
    if args.partition.is_empty() {
        return Ok(topic.partitions.iter().map(|partition| partition.partition).collect());
    }
    let count = topic.partitions.len() as u32;
    if let Some(wrong) = args.partition.iter().find(|partition| **partition >= count) {
        let message = format!("unknown partition '{wrong}' of {}; known: 0 to {}", args.topic, count - 1);
        return Err(Failure::usage(message));
    }
    Ok(args.partition.iter().copied().map(PartitionIndex).collect())
}

async fn starts(
    client: &Client,
    args: &ConsumeArgs,
    partitions: &[PartitionIndex],
) -> Result<Vec<(PartitionIndex, StartAt)>> {
    let start = match args.offset {
        Start::Beginning => StartAt::Earliest,
        Start::End => StartAt::Latest,
        Start::At(offset) => StartAt::Offset(Offset(offset)),
        Start::Time(ms) => StartAt::Timestamp(TimestampMs(ms)),
        Start::Ago(span) => {
            let now = jiff::Timestamp::now().as_millisecond();
            StartAt::Timestamp(TimestampMs(now.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))))
        }
        Start::Last(count) => {
            let query = |spec| {
                move |partition: &PartitionIndex| OffsetQuery { topic: args.topic.clone(), partition: *partition, spec }
            };
            let queries: Vec<_> = partitions
                .iter()
                .map(query(OffsetSpec::Earliest))
                .chain(partitions.iter().map(query(OffsetSpec::Latest)))
                .collect();
            let found = client.admin().list_offsets(&queries).await?;
            let (starts, ends) = found.split_at(partitions.len());
            let offset = |at: usize| {
                let (start, end) = (starts[at].offset.unwrap_or_default(), ends[at].offset.unwrap_or_default());
                Offset(end.0.saturating_sub(count).max(start.0))
            };
            let places = partitions.iter().enumerate();
            return Ok(places.map(|(at, partition)| (*partition, StartAt::Offset(offset(at)))).collect());
        }
    };
    Ok(partitions.iter().map(|partition| (*partition, start)).collect())
}

fn at_end(consumer: &Consumer, topic: &str, ends: &BTreeMap<PartitionIndex, Offset>) -> Result<bool> {
    for (partition, end) in ends {
        if consumer.position(topic, *partition)? < *end {
            return Ok(false);
        }
    }
    Ok(true)
}

fn print(out: &mut impl Write, message: &Message, args: &ConsumeArgs, output: Output) -> io::Result<()> {
    let headers: Vec<_> = message.headers.iter().map(|header| (header.key.as_str(), header.value.as_deref())).collect();
    let view = View {
        topic: &message.topic,
        partition: message.partition.0,
        offset: message.offset.0,
        timestamp_ms: message.timestamp.0,
        key: message.key.as_deref(),
        value: message.value.as_deref(),
        headers: &headers,
    };
    match output {
        Output::Json => write_json(out, &view),
        Output::Table => args.format.write(out, &view),
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
