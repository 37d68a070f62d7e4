//! `holdfast bench produce`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use holdfast_checker::{
    text::grouped,
    tracker::{Handler, Tracker},
    values::Values,
};
use holdfast_client::{
    Client,
    producer::{CloseReport, Delivery, Error, Record},
};
use holdfast_proto::ids::PartitionIndex;

use super::{
    setup::{BenchTopic, ProducerFlags, TopicFlags, check_delivered},
    stats::{Latencies, Throughput},
};
use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::{Output, print_json, say},
    progress::Progress,
    width::say_long,
};

/// One record in so many has its latency taken: taking it for all would cost the load generator more than sending.
const SAMPLE: u64 = 64;

/// Longest wait for the last acknowledgements.
const CLOSE_PATIENCE: Duration = Duration::from_secs(150);

#[derive(Debug, Args)]
pub(super) struct ProduceArgs {
    #[command(flatten)]
    topic: TopicFlags,
    #[command(flatten)]
    producer: ProducerFlags,
    /// Number of records to send.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1_000_000)]
    records: u64,
    /// Producers, each with connections of its own, that share the records.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    producers: u32,
}

/// The latencies of one partition's sampled records.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) latencies: Latencies,
    pub(super) first_problem: Option<Error>,
}

impl Handler<()> for Sampled {
    fn done(&mut self, (): (), sent: Instant, now: Instant, result: std::result::Result<Delivery, Error>) {
        match result {
            Ok(_) => self.latencies.record(now.saturating_duration_since(sent)),
            Err(error) => {
                self.first_problem.get_or_insert(error);
            }
        }
    }
}

/// A tracker that takes latencies.
pub(super) fn sampling(partition_count: u32) -> Tracker<(), Sampled> {
    Tracker::start(partition_count, |_| Sampled { latencies: Latencies::new(), first_problem: None })
}

/// Adds up what the partitions took.
pub(super) fn sum(sampled: Vec<Sampled>) -> (Latencies, Option<String>) {
    let mut latencies = Latencies::new();
    let mut first_problem = None;
    for one in sampled {
        latencies.add(&one.latencies);
        first_problem = first_problem.or(one.first_problem);
    }
    (latencies, first_problem.map(|problem| problem.to_string()))
}

pub(super) async fn run(connect: &Connect, args: ProduceArgs, output: Output) -> Result {
    let client = connect.client().await?;
    BenchTopic::with(&client, &args.topic, "produce", async |topic| bench(connect, &client, &args, topic, output).await)
        .await
}

async fn bench(connect: &Connect, client: &Client, args: &ProduceArgs, topic: &BenchTopic, output: Output) -> Result {
    let progress = Progress::start("producing", args.records);
    let start = Instant::now();
    // Ended with this, however it ends; the topic stays until they have.
    let mut loads = JoinSet::new();
    for number in 0..args.producers {
        let share = args.records / u64::from(args.producers)
            + u64::from(u64::from(number) < args.records % u64::from(args.producers));
        let client = if number == 0 { client.clone() } else { connect.client().await? };
        let (flags, name, progress) = (args.producer.clone(), topic.name.clone(), progress.clone());
        let (tells, user) = (number == 0, topic.user());
        loads.spawn(async move {
            let _until_it_ends = user;
            load(client, &flags, &name, share, tells.then_some(progress)).await
        });
    }
    let mut report = CloseReport { delivered: 0, not_appended: 0, in_doubt: 0 };
    let mut sampled = Vec::new();
    while let Some(load) = loads.join_next().await {
        let (one, more) = load.map_err(|error| Failure::error(error.to_string()))??;
        report.delivered += one.delivered;
        report.not_appended += one.not_appended;
        report.in_doubt += one.in_doubt;
        sampled.extend(more);
    }
    let elapsed = start.elapsed();
    progress.end();
    let (latencies, first_problem) = sum(sampled);
    let throughput =
        Throughput { records: report.delivered, bytes: report.delivered * u64::from(args.producer.size.0), elapsed };
    if output == Output::Json {
        let mut json = throughput.json();
        json["latency_ms"] = latencies.json();
        json["not_appended"] = json!(report.not_appended);
        json["in_doubt"] = json!(report.in_doubt);
        print_json(&json);
    } else {
        say(throughput.text());
        if latencies.count() > 0 {
            say_long(&format!("latency, with full buffers: {}", latencies.text()), ", ");
        }
    }
    check_delivered(report.not_appended, report.in_doubt, first_problem)
}

/// Sends so many records, flat out, to all partitions in turn.
async fn load(
    client: Client,
    flags: &ProducerFlags,
    topic: &str,
    records: u64,
    progress: Option<Progress>,
) -> Result<(CloseReport, Vec<Sampled>)> {
    let producer = flags.builder(client).build().await?;
    let topic = producer.topic(topic).await?;
    let partition_count = topic.partition_count() as u32;
    let tracker = sampling(partition_count);
    let values = Values::new(flags.size.0);
    let mut partition = 0;
    for index in 0..records {
        let record = Record::new(&topic).partition(PartitionIndex(partition)).value(values.get(index));
        if index.is_multiple_of(SAMPLE) {
            let sent = Instant::now();
            let delivery = producer.enqueue(record).await?;
            tracker.track(partition, (), sent, delivery).await?;
            if let Some(progress) = &progress
                && index.is_multiple_of(SAMPLE * 256)
            {
                progress.set(index, || format!("{} sent", grouped(index)));
            }
        } else {
            producer.post(record).await?;
        }
        partition += 1;
        if partition == partition_count {
            partition = 0;
        }
    }
    let report = producer.close(CLOSE_PATIENCE).await;
    Ok((report, tracker.finish().await))
}
