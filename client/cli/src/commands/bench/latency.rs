//! `holdfast bench latency`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use holdfast_checker::{pace::Pace, text::grouped, tracker::Tracker, values::Values};
use holdfast_client::{
    Client,
    producer::{Error, Producer, Record, TopicHandle},
};
use holdfast_proto::ids::PartitionIndex;

use super::{
    produce::{Sampled, sampling, sum},
    setup::{BenchTopic, ProducerFlags, TopicFlags, check_delivered},
};
use crate::{
    commands::load_thread::{LoadThread, Sender},
    connect::Connect,
    exit::Result,
    output::{Output, note, print_json, say},
    units::{parse_duration, parse_pause},
    width::say_long,
};

#[derive(Debug, Args)]
pub(super) struct LatencyArgs {
    #[command(flatten)]
    topic: TopicFlags,
    #[command(flatten)]
    producer: ProducerFlags,
    /// Records a second, of all partitions together.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// How long to measure.
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    duration: Duration,
    /// How long to send before that, at the same rate, without measuring.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_pause)]
    warm_up: Duration,
}

pub(super) async fn run(connect: &Connect, args: LatencyArgs, output: Output) -> Result {
    let client = connect.client().await?;
    BenchTopic::with(&client, &args.topic, "latency", async |topic| bench(&client, &args, topic, output).await).await
}

async fn bench(client: &Client, args: &LatencyArgs, topic: &BenchTopic, output: Output) -> Result {
    let producer = args.producer.builder(client.clone()).build().await?;
    let handle = producer.topic(&topic.name).await?;
    let values = Values::new(args.producer.size.0);
    let rate = u64::from(args.rate);
    note(format!("{:?} to warm up, then {:?} at {} records/s", args.warm_up, args.duration, grouped(rate)));
    let phases = [args.warm_up, args.duration]
        .map(|time| ((time.as_millis() * u128::from(rate) / 1_000) as u64, sampling(topic.partition_count)));
    let [warm_up, measured] = phases;
    let load = Load { producer: producer.clone(), topic: handle, partition_count: topic.partition_count, values, rate };
    let mut load = LoadThread::start(move |sender| load.send(sender, vec![warm_up, measured]))?;
    let (late, trackers) = load.ended().await??;
    let report = producer.close(Duration::from_secs(150)).await;
    let mut sampled = Vec::new();
    for tracker in trackers {
        sampled = tracker.finish().await;
    }
    let (latencies, first_problem) = sum(sampled);
    if output == Output::Json {
        print_json(&json!({
            "rate": args.rate,
            "seconds": args.duration.as_secs_f64(),
            "size": args.producer.size.0,
            "latency_ms": latencies.json(),
            "sent_late_max_ms": late.as_secs_f64() * 1_000.0,
            "not_appended": report.not_appended,
            "in_doubt": report.in_doubt,
        }));
    } else {
        say(format!("{} records of {} B at {}/s", grouped(latencies.count()), args.producer.size.0, grouped(rate)));
        say_long(&format!("latency: {}", latencies.text()), ", ");
        if late > Duration::from_millis(5) {
            let late = late.as_secs_f64() * 1e3;
            say_long(&format!("the load was up to {late:.1} ms behind its schedule, which counts as latency"), " ");
        }
    }
    check_delivered(report.not_appended, report.in_doubt, first_problem)
}

/// A load at a fixed rate.
struct Load {
    producer: Producer,
    topic: TopicHandle,
    partition_count: u32,
    values: Values,
    rate: u64,
}

type Phase = (u64, Tracker<(), Sampled>);

impl Load {
    /// Sends the phases one after another without a gap; gives the trackers back, and how late the load was at worst.
    fn send(
        &self,
        mut sender: Sender,
        phases: Vec<Phase>,
    ) -> std::result::Result<(Duration, Vec<Tracker<(), Sampled>>), Error> {
        let pace = Pace::new(Instant::now(), self.rate as f64);
        let (mut index, mut latest) = (0, Duration::ZERO);
        let mut trackers = Vec::new();
        for (count, tracker) in phases {
            for _ in 0..count {
                let partition = (index % u64::from(self.partition_count)) as u32;
                let record =
                    Record::new(&self.topic).partition(PartitionIndex(partition)).value(self.values.get(index));
                let due = pace.wait(index);
                let Some(delivery) = sender.send(&self.producer, record)? else { return Ok((latest, trackers)) };
                latest = latest.max(due.elapsed());
                if tracker.track_blocking(partition, (), due, delivery).is_err() {
                    return Ok((latest, trackers));
                }
                index += 1;
            }
            trackers.push(tracker);
        }
        Ok((latest, trackers))
    }
}
