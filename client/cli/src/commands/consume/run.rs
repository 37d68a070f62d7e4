//! From the first connection to the end, the count or a signal.
//!
//! Signals: the first one ends the reading; what is printed by then is still written, for a short time. The second one
//! ends that too.

use std::{
    collections::BTreeSet,
    pin::pin,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use holdfast_checker::waiting::{self, Patience, STALL, Waiting};
use holdfast_client::{Client, consumer::Message};
use holdfast_proto::ids::PartitionIndex;

use super::{
    command::{ConsumeArgs, Start},
    places::{self, Found},
    printer::{Closed, Printer},
    reader::{self, Reader, Unread},
};
use crate::{
    exit::{Code, Failure, Result},
    format::View,
    output::{Output, note},
    signals::Signals,
};

/// How long partitions that nobody can be asked about are looked for, unless it follows.
const LOOK_UP: Duration = Duration::from_secs(10);
/// How long the leaders of all partitions are waited for before those that are there are read.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often partitions are looked for that are missing or new.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long one batch is waited for before the positions are looked at again.
const LOOK: Duration = Duration::from_millis(200);
/// How long an interruption waits until what is printed is written.
const WRITE_OUT: Duration = Duration::from_secs(2);

/// Why nothing more is read before the end and the count.
#[derive(Debug)]
enum Stop {
    Failed(Failure),
    /// Nobody takes the output any more.
    Closed,
    Interrupted(Code),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Prints records until the end, the count or a signal; a signal is no failure while following.
pub async fn run(mut args: ConsumeArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let begun = Instant::now();
    let begun_ms = jiff::Timestamp::now().as_millisecond();
    args.offset = args.offset.fixed(begun_ms);
    let mut failed = Vec::new();
    let opened = tokio::select! {
        opened = open(&args, begun, begun_ms, &mut failed) => opened,
        code = signals.wait() => interrupted(&args, code).map(|()| None),
    };
    let mut reader = match opened {
        Ok(Some(reader)) => reader,
        Ok(None) => return verdict(both(None, unread_of(failed)), 0),
        Err(ended) => return verdict(both(Some(ended), unread_of(failed)), 0),
    };
    let mut printer = Printer::start()?;
    let read = tokio::select! {
        read = read(&args, output, begun, &mut reader, &mut printer) => read,
        code = signals.wait() => Err(Stop::Interrupted(code)),
    };
    let mut stopped_by = None;
    if let Err(Stop::Interrupted(code)) = read {
        stopped_by = Some(code);
    }
    // Also what was read before a failure or a signal is written.
    let is_written = write_out(printer, &mut signals, &mut stopped_by).await;
    let Unread { failed, missing, skipped } = reader.end();
    let mut unread = failed;
    if matches!(read, Ok(left) if left > 0) && stopped_by.is_none() {
        unread.extend(missing);
    }
    let ended = match (read, stopped_by) {
        (Err(Stop::Failed(failure)), _) => Some(failure),
        (_, Some(code)) if !is_written => {
            Some(Failure::new(code, "interrupted; not all that was printed is written: nobody takes the output"))
        }
        (_, Some(code)) => interrupted(&args, code).err(),
        (Ok(_) | Err(_), None) => None,
    };
    verdict(both(ended, unread_of(unread)), skipped)
}

/// What ended the reading, and what was not read. The code is that of a loss if there is one, and else of the end; one that
/// says nothing gives way.
fn both(ended: Option<Failure>, unread: Option<Failure>) -> Option<Failure> {
    match (ended, unread) {
        (Some(ended), Some(unread)) if ended.message.is_empty() => Some(unread),
        (Some(ended), Some(unread)) => {
            let code = if unread.code == Code::Loss { Code::Loss } else { ended.code };
            Some(Failure::new(code, format!("{ended}; {unread}")))
        }
        (ended, unread) => ended.or(unread),
    }
}

/// To be interrupted is the usual end of following.
fn interrupted(args: &ConsumeArgs, code: Code) -> Result {
    if args.follow { Ok(()) } else { Err(Failure::new(code, "")) }
}

/// Waits until all that is printed is written: after a signal for a short time, and until the second one.
async fn write_out(printer: Printer, signals: &mut Signals, stopped_by: &mut Option<Code>) -> bool {
    let mut ending = pin!(printer.end());
    if stopped_by.is_none() {
        tokio::select! {
            () = &mut ending => return true,
            code = signals.wait() => *stopped_by = Some(code),
        }
    }
    tokio::select! {
        () = &mut ending => true,
        () = sleep(WRITE_OUT) => false,
        _ = signals.wait() => false,
    }
}

/// Partitions with why they are not read.
type Unreadable = Vec<(PartitionIndex, Failure)>;

/// A reader of all partitions that somebody can be asked about; `None` if there is none. Those that are never read go to
/// `failed` as soon as they are found, whatever becomes of this.
async fn open<'a>(
    args: &'a ConsumeArgs,
    begun: Instant,
    begun_ms: i64,
    failed: &mut Unreadable,
) -> Result<Option<Reader<'a>>> {
    if let Some(hint) = args.offset.hint() {
        note(hint);
    }
    let client = args.connect.client().await?;
    let partitions = partitions(&client, args).await?;
    let mut found = look(&client, args, None, &partitions, failed).await?;
    let mut told = false;
    while found.places.is_empty() && !found.missing.is_empty() {
        if !args.follow && begun.elapsed() > LOOK_UP {
            failed.append(&mut found.missing);
            return Ok(None);
        }
        if !std::mem::replace(&mut told, true) {
            note(format!("waiting: {}", first_of(found.missing.clone())));
        }
        sleep(LOOK).await;
        let missing: Vec<_> = found.missing.iter().map(|(partition, _)| *partition).collect();
        found = look(&client, args, Some(begun_ms), &missing, failed).await?;
    }
    let Found { places, missing, .. } = found;
    if places.is_empty() {
        return Ok(None);
    }
    reader::tell(&missing, "it is read once that has passed");
    let unread = Unread { failed: failed.clone(), missing, skipped: 0 };
    Reader::open(client, args, begun_ms, &partitions, &places, unread).await.map(Some)
}

/// Looks for the places of these partitions. What can never be read goes to `failed`, and is told as long as there is hope for
/// others: else it is what the command ends with.
async fn look(
    client: &Client,
    args: &ConsumeArgs,
    begun: Option<i64>,
    partitions: &[PartitionIndex],
    failed: &mut Unreadable,
) -> Result<Found> {
    let found = places::find(client, &args.topic, args.offset, begun, partitions, args.follow, FIRST_LOOK).await?;
    if !found.places.is_empty() || !found.missing.is_empty() {
        reader::tell(&found.failed, "the other partitions are read");
    }
    failed.extend(found.failed.iter().cloned());
    found.told_first(args.offset)
}

/// Prints what is read, up to the end or the count; gives how many records of the count are left.
async fn read(
    args: &ConsumeArgs,
    output: Output,
    begun: Instant,
    reader: &mut Reader<'_>,
    printer: &mut Printer,
) -> std::result::Result<u64, Stop> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut looked = Instant::now();
    let mut waiting = Waiting::default();
    while left > 0 && (args.follow || !reader.is_at_end()) {
        if looked.elapsed() > LOOK_AGAIN {
            reader.look_for_more().await?;
            if !args.follow && begun.elapsed() > LOOK_UP && reader.only_misses() {
                break;
            }
            looked = Instant::now();
        }
        if !args.follow {
            match waiting.look(begun.elapsed(), || waiting::left(reader.open_partitions())) {
                Patience::GoOn => {}
                Patience::Tell => note(format!("waiting for {}", reader.who_is_waited_for().await)),
                Patience::GiveUp => return Err(stalled(&reader.who_is_waited_for().await).into()),
            }
        }
        let batch = match timeout(LOOK, reader.next()).await {
            Ok(Some(batch)) => batch,
            Ok(None) if reader.may_find_more() && (args.follow || begun.elapsed() < LOOK_UP) => {
                printer.flush().await?;
                sleep(LOOK).await;
                continue;
            }
            Ok(None) if reader.has_failed() => break,
            Ok(None) => {
                return Err(Failure::error(format!("no partition of {} can be read any more", args.topic)).into());
            }
            Err(_nothing_came) => {
                printer.flush().await?;
                continue;
            }
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                reader.go_on_after(error).await?;
                continue;
            }
        };
        let (partition, end) = (batch.partition, reader.end_of(batch.partition));
        for message in batch.into_messages() {
            if left == 0 || end.is_some_and(|end| message.offset >= end) {
                break;
            }
            print(printer, &message, args, output).await?;
            left -= 1;
        }
        reader.rest_at_end(partition)?;
        // With --follow it is shown at once; in bulk the buffer is emptied when it is full.
        if args.follow {
            printer.flush().await?;
        }
    }
    Ok(left)
}

fn stalled(partitions: &str) -> Failure {
    Failure::new(Code::InDoubt, format!("nothing came for {} s from {partitions}", STALL.as_secs()))
}

/// How it ends; damage that was passed over outweighs what else there is.
fn verdict(failure: Option<Failure>, skipped: u64) -> Result {
    let damage = || format!("{skipped} damaged places were passed over");
    match failure {
        Some(failure) if skipped == 0 => Err(failure),
        Some(failure) if failure.message.is_empty() => Err(Failure::new(Code::Loss, damage())),
        Some(failure) => Err(Failure::new(Code::Loss, format!("{failure}; {}", damage()))),
        None if skipped > 0 => Err(Failure::new(Code::Loss, damage())),
        None => Ok(()),
    }
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
    let each_once: BTreeSet<_> = args.partition.iter().copied().map(PartitionIndex).collect();
    Ok(each_once.into_iter().collect())
}

/// Why partitions were not read, if there are such.
fn unread_of(unread: Unreadable) -> Option<Failure> {
    (!unread.is_empty()).then(|| first_of(unread))
}

/// Why the first of these partitions was not read, and how many more there are. Loss comes first, as it outweighs the rest.
fn first_of(mut missing: Unreadable) -> Failure {
    missing.sort_by_key(|(partition, failure)| (failure.code != Code::Loss, *partition));
    let others = missing.len().saturating_sub(1);
    let more = if others == 0 { String::new() } else { format!("; and {others} more partitions were not read") };
    let first = missing.into_iter().next().map(|(_, failure)| failure);
    let first = first.unwrap_or_else(|| Failure::error("a partition was not read"));
    Failure::new(first.code, format!("{first}{more}"))
}

async fn print(
    printer: &mut Printer,
    message: &Message,
    args: &ConsumeArgs,
    output: Output,
) -> std::result::Result<(), Closed> {
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
    printer.print(&view, args, output).await
}

impl Start {
    /// What may have been meant instead of a time that is hardly meant.
    fn hint(self) -> Option<String> {
        let Self::Time(ms) = self else { return None };
        // Seconds since 1970 of our days are milliseconds of its first months.
        let looks_like_seconds = (300_000_000..100_000_000_000).contains(&ms);
        let time = jiff::Timestamp::from_millisecond(ms).ok().filter(|_| looks_like_seconds)?;
        Some(format!("'@{ms}' is {time}: times are in ms since 1970; for seconds write @{ms}000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_that_was_passed_over_is_never_hidden() {
        let missing = || Some(Failure::error("t-1 has no leader now"));
        let both = verdict(missing(), 2).unwrap_err();
        assert_eq!(
            (both.code, &*both.message),
            (Code::Loss, "t-1 has no leader now; 2 damaged places were passed over")
        );
        assert_eq!(verdict(missing(), 0).unwrap_err().code, Code::Error);
        assert_eq!(verdict(None, 1).unwrap_err().code, Code::Loss);
        let interrupted = verdict(Some(Failure::new(Code::Interrupted, "")), 1).unwrap_err();
        assert_eq!((interrupted.code, &*interrupted.message), (Code::Loss, "1 damaged places were passed over"));
        verdict(None, 0).unwrap();
    }

    #[test]
    fn a_loss_outweighs_whatever_the_reading_ended_by() {
        let unread = |code| unread_of(vec![(PartitionIndex(0), Failure::new(code, "t-0 is damaged"))]);
        let ended = |code, message: &str| Some(Failure::new(code, message));
        let check = |ended, unread, code, message: &str| {
            let failure = both(ended, unread).unwrap();
            assert_eq!((failure.code, &*failure.message), (code, message));
        };
        check(None, unread(Code::Loss), Code::Loss, "t-0 is damaged");
        check(ended(Code::Interrupted, ""), unread(Code::Loss), Code::Loss, "t-0 is damaged");
        check(ended(Code::Error, "it ends"), unread(Code::Loss), Code::Loss, "it ends; t-0 is damaged");
        check(ended(Code::InDoubt, "it ends"), unread(Code::Error), Code::InDoubt, "it ends; t-0 is damaged");
        assert!(both(None, unread_of(Vec::new())).is_none());
    }

    #[test]
    fn a_time_in_seconds_is_told() {
        let hint = Start::Time(1_769_300_000).hint().unwrap();
        assert!(hint.contains("1970-01-21") && hint.contains("@1769300000000"), "{hint}");
        for fine in [Start::Time(1_769_300_000_000), Start::Time(0), Start::At(1_769_300_000), Start::Beginning] {
            assert_eq!(fine.hint(), None, "{fine:?}");
        }
    }
}
