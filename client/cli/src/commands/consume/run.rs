//! From the first connection to the end, the count or a signal.

use std::{collections::BTreeMap, io, time::Duration};

use holdfast_client::{
    Client,
    consumer::{Consumer, Message, StartAt},
    offsets::{OffsetQuery, OffsetSpec},
};
use holdfast_proto::ids::{Offset, PartitionIndex, TimestampMs};

use super::{
    command::{ConsumeArgs, Start},
    printer::Printer,
};
use crate::{
    exit::{Failure, Result},
    format::View,
    output::Output,
    signals::Signals,
};

/// How long ends and offsets are looked for.
const LOOK_UP: Duration = Duration::from_secs(30);
/// How long one batch is waited for before the positions are looked at again.
const LOOK: Duration = Duration::from_millis(200);

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
    let mut printer = Printer::start()?;
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
                printer.end().await?;
                return Err(error.into());
            }
        };
        let end = ends.get(&batch.partition).copied();
        for message in batch.into_messages() {
            if left == 0 || end.is_some_and(|end| message.offset >= end) {
                break;
            }
            print(&mut printer, &message, args, output).await?;
            left -= 1;
        }
        // With --follow it is shown at once; in bulk the buffer is emptied when it is full.
        if args.follow {
            printer.flush().await?;
        }
    }
    Ok(printer.end().await?)
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

async fn print(printer: &mut Printer, message: &Message, args: &ConsumeArgs, output: Output) -> io::Result<()> {
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
