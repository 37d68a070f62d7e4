//! `holdfast produce`: lines of standard input or of files become records.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use holdfast_checker::text::{counted, grouped};
use holdfast_client::producer::{DeliveryFuture, Error, Producer, Record, TopicHandle};
use holdfast_proto::{
    batch::{Compression, Header},
    ids::PartitionIndex,
};

use crate::{
    connect::Connect,
    delivery::{AcksFlag, parse_compression},
    exit::{Code, Failure, Result},
    format::unescape,
    output::{Output, note, print_json},
    progress::Progress,
    signals::Signals,
    units::parse_duration,
};

/// Lines that are read ahead, in chunks.
const CHUNKS_MAX: usize = 16;
const CHUNK_LINES: usize = 512;
/// Records whose outcome is waited for at once; the producer's own buffer is the smaller bound.
const WAITING_MAX: usize = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  # key and value, at the first colon
  echo 'alice:2 apples' | holdfast produce orders -K:
  holdfast produce logs /var/log/syslog -z zstd    a file, one record a line
  # all of the input as one record
  holdfast produce orders -k alice -D '' < order.json
  seq 1000000 | holdfast produce numbers -p 0 -o json

Ends when everything is acknowledged. Exit code 0: all records were delivered;
1: some were refused; 4: some are in doubt, they may be in the log.";

/// Arguments of `holdfast produce`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProduceArgs {
    #[command(flatten)]
    connect: Connect,
    /// Name of the topic.
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Files to read [default: standard input].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What separates the key from the value in a line; \t for a tab. A line without it has no key.
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = parse_separator, conflicts_with = "key")]
    key_separator: Option<Delimiter>,
    /// The key of every record.
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,
    /// The partition of every record [default: chosen by the key, or changing].
    #[arg(short, long, value_name = "N")]
    partition: Option<u32>,
    /// What ends a record; \0 for a zero byte, empty for one record a file.
    #[arg(short = 'D', long, value_name = "TEXT", value_parser = parse_delimiter, default_value = "\\n")]
    delimiter: Delimiter,
    /// A header of every record. May be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    headers: Vec<Header>,
    /// An empty value is sent as none: a tombstone.
    #[arg(short = 'Z', long)]
    tombstones: bool,
    /// When a record counts as delivered: none, leader, all.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    acks: AcksFlag,
    /// Compression: none, gzip, snappy, lz4, zstd.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    compression: Compression,
    /// Longest time to deliver a record, retries included. Then it is refused, or in doubt.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    delivery_timeout: Duration,
}

/// A separator on the command line, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(Vec<u8>);

fn parse_delimiter(text: &str) -> std::result::Result<Delimiter, String> {
    unescape(text).map(Delimiter)
}

fn parse_separator(text: &str) -> std::result::Result<Delimiter, String> {
    match unescape(text)? {
        bytes if bytes.is_empty() => Err("'' is not a separator; write one character or more".to_owned()),
        bytes => Ok(Delimiter(bytes)),
    }
}

fn parse_header(text: &str) -> std::result::Result<Header, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is not a header; write name=value"))?;
    Ok(Header { key: name.to_owned(), value: Some(Bytes::copy_from_slice(value.as_bytes())) })
}

/// Sends all of the input and waits for every outcome. Fails if one record was refused or is in doubt.
pub async fn run(args: ProduceArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let timeout = args.delivery_timeout;
    let client = args.connect.client().await?;
    let builder = Producer::builder(client).acks(args.acks.into()).compression(args.compression);
    let producer = builder.delivery_timeout(timeout).max_block(timeout).build().await?;
    let topic = producer.topic(&args.topic).await?;
    check_partition(&topic, args.partition)?;

    let quiet = output == Output::Json || (io::stdin().is_terminal() && args.files.is_empty());
    let progress = (!quiet && io::stderr().is_terminal()).then(|| Progress::start("producing", 0));
    let start = Instant::now();
    let mut lines = read_lines(args.files.clone(), args.delimiter.clone());
    let (waiting, outcomes) = mpsc::channel(WAITING_MAX);
    let outcomes = tokio::spawn(await_outcomes(outcomes));
    let mut sent = 0;
    let sending = send(&args, &producer, &topic, &mut lines, &waiting, &mut sent, progress.as_ref());
    // An interruption ends the reading; what was accepted is still delivered and told.
    let (result, interrupted) = tokio::select! {
        result = sending => (result, None),
        code = signals.wait() => (Ok(()), Some(code)),
    };
    drop(waiting);
    let report = tokio::select! {
        report = producer.close(timeout + Duration::from_secs(5)) => report,
        code = signals.wait() => {
            return Err(Failure::new(Code::InDoubt, format!("interrupted again ({}); records are in doubt", code as u8)));
        }
    };
    if let Some(progress) = progress {
        progress.end();
    }
    let first_problem = outcomes.await.ok().flatten();
    if output == Output::Json {
        print_json(&json!({
            "sent": sent,
            "delivered": report.delivered,
            "not_appended": report.not_appended,
            "in_doubt": report.in_doubt,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else if io::stderr().is_terminal() {
        note(format!("{} delivered to {}", counted(report.delivered, "record"), args.topic));
    }
    result?;
    let because = first_problem.map_or_else(String::new, |error| format!("; the first: {error}"));
    if report.in_doubt > 0 {
        let message = format!(
            "{} of {} records are in doubt: they may be in the log. {} were refused{because}",
            grouped(report.in_doubt),
            grouped(sent),
            grouped(report.not_appended)
        );
        return Err(Failure::new(Code::InDoubt, message));
    }
    if report.not_appended > 0 {
        let message = format!("{} of {} records were refused{because}", grouped(report.not_appended), grouped(sent));
        return Err(Failure::error(message));
    }
    interrupted.map_or(Ok(()), |code| Err(Failure::new(code, "interrupted; what was read is delivered")))
}

fn check_partition(topic: &TopicHandle, partition: Option<u32>) -> Result {
    match partition {
        Some(partition) if partition as usize >= topic.partition_count() => Err(Failure::usage(format!(
            "unknown partition '{partition}' of {}; known: 0 to {}",
            topic.name(),
            topic.partition_count() - 1
        ))),
        _ => Ok(()),
    }
}

/// Sends every record of the input.
async fn send(
    args: &ProduceArgs,
    producer: &Producer,
    topic: &TopicHandle,
    lines: &mut mpsc::Receiver<Result<Vec<Vec<u8>>>>,
    waiting: &mpsc::Sender<DeliveryFuture>,
    sent: &mut u64,
    progress: Option<&Progress>,
) -> Result {
    while let Some(chunk) = lines.recv().await {
        for line in chunk? {
            let (key, value) = split(&line, args);
            let mut record = Record::new(topic).headers(&args.headers);
            if let Some(key) = key {
                record = record.key(key);
            }
            if let Some(value) = value {
                record = record.value(value);
            }
            if let Some(partition) = args.partition {
                record = record.partition(PartitionIndex(partition));
            }
            let delivery = producer.enqueue(record).await?;
            // Fails only after the other side ended, which it does last.
            let _taken = waiting.send(delivery).await;
            *sent += 1;
        }
        if let Some(progress) = progress {
            let delivered = producer.report().delivered;
            progress.set(0, || format!("{} read, {} delivered", grouped(*sent), grouped(delivered)));
        }
    }
    Ok(())
}

/// Key and value of a line.
fn split<'a>(line: &'a [u8], args: &'a ProduceArgs) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let (key, value) = match (&args.key, &args.key_separator) {
        (Some(key), _) => (Some(key.as_bytes()), line),
        (None, Some(Delimiter(separator))) => match find(line, separator) {
            Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
            None => (None, line),
        },
        (None, None) => (None, line),
    };
    (key, (!args.tombstones || !value.is_empty()).then_some(value))
}

fn find(line: &[u8], separator: &[u8]) -> Option<usize> {
    line.windows(separator.len()).position(|window| window == separator)
}

/// Awaits the records' outcomes, in the order in which they were sent; gives the first error.
async fn await_outcomes(mut waiting: mpsc::Receiver<DeliveryFuture>) -> Option<Error> {
    let mut first = None;
    while let Some(delivery) = waiting.recv().await {
        if let Err(error) = delivery.await {
            first.get_or_insert(error);
        }
    }
    first
}

/// Reads records from the files, or from standard input, on a thread of its own: a read of a terminal or pipe blocks.
fn read_lines(files: Vec<PathBuf>, Delimiter(delimiter): Delimiter) -> mpsc::Receiver<Result<Vec<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let read = move || {
        let emit = |chunk| sender.blocking_send(chunk).is_ok();
        if files.is_empty() {
            let mut input = BufReader::with_capacity(64 << 10, io::stdin());
            if let Err(error) = read_records(&mut input, &delimiter, &mut |chunk| emit(Ok(chunk))) {
                emit(Err(Failure::error(format!("cannot read standard input: {error}"))));
            }
            return;
        }
        for path in files {
            let result = File::open(&path).and_then(|file| {
                let mut input = BufReader::with_capacity(64 << 10, file);
                read_records(&mut input, &delimiter, &mut |chunk| emit(Ok(chunk)))
            });
            if let Err(error) = result {
                emit(Err(Failure::file("read", &path)(error)));
                return;
            }
        }
    };
    // Without threads nothing works; the receiver then ends at once.
    let _started = std::thread::Builder::new().name("input".to_owned()).spawn(read);
    receiver
}

/// Gives records in chunks, and those that there are before it waits for more. Stops when `emit` says so.
fn read_records<R: Read>(
    input: &mut BufReader<R>,
    delimiter: &[u8],
    emit: &mut impl FnMut(Vec<Vec<u8>>) -> bool,
) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut record = Vec::new();
    let last = delimiter.last().copied();
    loop {
        let read = match last {
            Some(byte) => input.read_until(byte, &mut record)?,
            None => input.read_to_end(&mut record)?,
        };
        let ended = read == 0;
        if !delimiter.is_empty() && record.ends_with(delimiter) {
            record.truncate(record.len() - delimiter.len());
            chunk.push(std::mem::take(&mut record));
        } else if ended && !record.is_empty() {
            chunk.push(std::mem::take(&mut record));
        }
        let waits = input.buffer().is_empty() || chunk.len() >= CHUNK_LINES;
        if (ended || waits) && !chunk.is_empty() && !emit(std::mem::take(&mut chunk)) {
            return Ok(());
        }
        if ended {
            return Ok(());
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Client(error) => return Self::from(error.clone()),
            Error::UnknownPartition { .. } => Code::Usage,
            _ if error.is_in_doubt() => Code::InDoubt,
            _ => Code::Error,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: ProduceArgs,
    }

    fn args(flags: &[&str]) -> ProduceArgs {
        Flags::parse_from([&["produce", "orders"], flags].concat()).args
    }

    fn records(input: &str, delimiter: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut reader = BufReader::with_capacity(4, input.as_bytes());
        let delimiter = unescape(delimiter).unwrap();
        read_records(&mut reader, &delimiter, &mut |chunk| {
            all.extend(chunk);
            true
        })
        .unwrap();
        all.into_iter().map(|record| String::from_utf8(record).unwrap()).collect()
    }

    #[test]
    fn records_end_at_their_delimiter() {
        assert_eq!(records("one\ntwo\n\nthree", "\\n"), ["one", "two", "", "three"]);
        assert_eq!(records("one\n", "\\n"), ["one"]);
        assert_eq!(records("", "\\n"), [""; 0]);
        assert_eq!(records("a;;b;c;;", ";;"), ["a", "b;c"]);
        assert_eq!(records("all\nof it\n", ""), ["all\nof it\n"]);
    }

    #[test]
    fn a_key_is_split_off_once() {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let check = |flags: &[&str], line: &str, key: Option<&str>, value: Option<&str>| {
            let args = args(flags);
            let (k, v) = split(line.as_bytes(), &args);
            assert_eq!((text(k).as_deref(), text(v).as_deref()), (key, value), "{line} {flags:?}");
        };
        check(&["-K:"], "a:b:c", Some("a"), Some("b:c"));
        check(&["-K:"], "abc", None, Some("abc"));
        check(&["-K", "\\t"], "a\tb", Some("a"), Some("b"));
        check(&["-k", "x"], "a:b", Some("x"), Some("a:b"));
        check(&["-K:"], "a:", Some("a"), Some(""));
        check(&["-K:", "-Z"], "a:", Some("a"), None);
    }

    #[test]
    fn wrong_flags_are_refused() {
        for flags in [
            &["-K", ""][..],
            &["-z", "rar"],
            &["-H", "x"],
            &["--acks", "2"],
            &["--delivery-timeout", "5"],
            &["-K:", "-k", "x"],
            &["-D", "\\q"],
        ] {
            assert!(Flags::try_parse_from([&["produce", "orders"], flags].concat()).is_err(), "{flags:?}");
        }
        assert_eq!(args(&["--acks", "1"]).acks, AcksFlag::Leader);
        assert_eq!(args(&["-z", "lz4"]).compression, Compression::Lz4);
    }
}
