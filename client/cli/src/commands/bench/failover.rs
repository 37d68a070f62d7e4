//! `holdfast bench failover`.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::json;

use holdfast_checker::{
    account::Record,
    ledger::{Ledger, Summary, Watch, sequence_header},
    pace::Pace,
    readback,
    tracker::Tracker,
    values::Values,
};
use holdfast_client::{
    Client, ClientConfig,
    producer::{Error, Producer, Record as Outgoing, TopicHandle},
};
use holdfast_local::{ClusterSpec, NodeName, ProcessCluster, Programs, Role, faults::Target};
use holdfast_proto::{batch::Compression, ids::PartitionIndex};

use super::{
    setup::{BenchTopic, TopicFlags},
    stats::median,
};
use crate::{
    commands::{
        demo::sandbox::Sandbox,
        load_thread::{LoadThread, Sender},
    },
    delivery::parse_compression,
    exit::{Code, Failure, Result},
    folder::data_dir,
    output::{Output, note, print_json, print_table, say},
    progress::Progress,
    signals::Signals,
    units::{Size, parse_pause, parse_value_size},
    width::say_long,
};

/// How long a cluster may take to start, a take-over to happen, or a node to be in sync again.
const PATIENCE: Duration = Duration::from_mins(2);

const DELIVERY_TIMEOUT: Duration = Duration::from_mins(3);

#[derive(Debug, Args)]
pub(super) struct FailoverArgs {
    #[command(flatten)]
    topic: TopicFlags,
    /// How many leaders are killed, one after another, each after the one before is back in sync.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// Kill the active controller instead.
    #[arg(long)]
    controllers: bool,
    /// Records a second, over all partitions.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// Size of a record's value, as 100 (bytes) or 64KiB; above 1 MB also -c max.message.bytes=16MiB.
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = parse_value_size)]
    size: Size,
    /// Compression: none, gzip, snappy, lz4, zstd. The values are random, so it finds little.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    compression: Compression,
    /// Load between a recovery and the next kill.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_pause)]
    settle: Duration,
    /// Start a cluster with three controllers for this, and end it afterwards.
    #[arg(long)]
    own: bool,
    /// Brokers of the cluster that --own starts.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3, requires = "own")]
    brokers: u32,
    /// Folder of the cluster of `holdfast dev` whose nodes are killed [default: HOLDFAST_DEV_DIR, or the user's].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// One kill of a node, timed; a part of the printed JSON.
#[derive(Clone, Debug, serde::Serialize)]
struct Kill {
    node: NodeName,
    partition: Option<u32>,
    /// The longest pause of any partition from the kill until all was in sync again, ms.
    pause_ms: f64,
    takeover_ms: f64,
    recovery_ms: f64,
}

pub(super) async fn run(args: FailoverArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let mut sandbox = if args.own { Some(Sandbox::make(None)?) } else { None };
    let opened = async {
        let cluster = open(&args, sandbox.as_ref()).await?;
        let client = Client::connect(ClientConfig::new(cluster.bootstrap())).await?;
        Ok::<_, Failure>((cluster, client))
    };
    let (mut cluster, client) = signals.or(opened).await?;
    let result = async {
        check_take_over(&args, &mut cluster)?;
        let flags = args.topic.clone();
        BenchTopic::with(&client, &flags, "failover", async |topic| {
            bench(&args, &client, topic, &mut cluster, output).await
        })
        .await
    }
    .await;
    if let (Err(failure), Some(sandbox)) = (&result, &mut sandbox) {
        match failure.code {
            Code::Interrupted | Code::Terminated => {}
            Code::Loss => sandbox.keep_everything(),
            _ => sandbox.keep_logs(),
        }
    }
    // The processes before their folder.
    drop(cluster);
    result
}

/// The cluster whose nodes are killed, once it is ready.
async fn open(args: &FailoverArgs, sandbox: Option<&Sandbox>) -> Result<ProcessCluster> {
    if let Some(sandbox) = sandbox {
        let spec = ClusterSpec { brokers: args.brokers, ..ClusterSpec::tied(sandbox.dir())? };
        return Ok(ProcessCluster::up(&spec, PATIENCE).await?);
    }
    let mut cluster = ProcessCluster::open(&data_dir(args.data_dir.clone()), Programs::find()?)?;
    cluster.wait_ready(Duration::from_secs(10)).await?;
    Ok(cluster)
}

/// Fails if nobody could take over from an active controller.
fn check_take_over(args: &FailoverArgs, cluster: &mut ProcessCluster) -> Result {
    let controllers = cluster.status().iter().filter(|node| node.name.role == Role::Controller).count();
    if args.controllers && controllers < 3 {
        return Err(Failure::usage(format!(
            "with {controllers} controllers nobody takes over from the active one; start the cluster with 3"
        )));
    }
    Ok(())
}

async fn bench(
    args: &FailoverArgs,
    client: &Client,
    topic: &BenchTopic,
    cluster: &mut ProcessCluster,
    output: Output,
) -> Result {
    if !args.controllers && topic.replica_count < 2 {
        return Err(Failure::usage(format!(
            "{} has partitions with one replica: nobody takes over from a leader that is killed; write \
             --replication-factor 3, on as many brokers",
            topic.name
        )));
    }
    topic.check_empty(client).await?;
    let producer = Producer::builder(client.clone()).compression(args.compression);
    let producer = producer.delivery_timeout(DELIVERY_TIMEOUT).max_block(DELIVERY_TIMEOUT).build().await?;
    let watch = Arc::new(Watch::default());
    let load = Load {
        producer: producer.clone(),
        topic: producer.topic(&topic.name).await?,
        partition_count: topic.partition_count,
        values: Values::new(args.size.0),
        rate: args.rate,
    };
    let tracker = Tracker::start(topic.partition_count, |partition| Ledger::new(partition, Arc::clone(&watch)));
    let mut load = LoadThread::start(move |sender| load.send(sender, tracker))?;

    let progress = Progress::start("killing", u64::from(args.kills));
    let mut kills = Vec::new();
    for number in 0..args.kills {
        tokio::time::sleep(args.settle).await;
        let partition = number % topic.partition_count;
        let target = if args.controllers { Target::ActiveController } else { Target::Leader(partition) };
        watch.take_longest_pause();
        let fault = cluster.fault(&topic.name, target, PATIENCE).await?;
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let kill = Kill {
            node: fault.node,
            partition: fault.partition,
            pause_ms: ms(watch.take_longest_pause()),
            takeover_ms: ms(fault.takeover),
            recovery_ms: ms(fault.recovery),
        };
        progress.tell(&format!(
            "kill -9 {}: acks paused for {:.0} ms; taken over after {:.0} ms, in sync again {:.0} ms after its start",
            kill.node, kill.pause_ms, kill.takeover_ms, kill.recovery_ms
        ));
        kills.push(kill);
        progress.set(u64::from(number) + 1, || format!("{} of {}", number + 1, args.kills));
    }
    progress.end();
    load.stop();
    let tracker = load.ended().await??;
    let _report = producer.close(DELIVERY_TIMEOUT + Duration::from_secs(10)).await;
    let summary = Summary::close(tracker.finish().await);
    let progress = Progress::start("reading", summary.account.acked());
    let verdict = readback::audit(client, &topic.name, summary.account.audit(), |told| progress.reading(&told)).await?;
    progress.end();

    let pauses: Vec<_> = kills.iter().map(|kill| Duration::from_secs_f64(kill.pause_ms / 1_000.0)).collect();
    let (middle, longest) = (median(&pauses), pauses.iter().max().copied().unwrap_or_default());
    if output == Output::Json {
        print_json(&json!({
            "kills": kills,
            "median_pause_ms": middle.as_secs_f64() * 1_000.0,
            "max_pause_ms": longest.as_secs_f64() * 1_000.0,
            "rate": args.rate,
            "size": args.size.0,
            "verdict": verdict,
            "refused": summary.refused,
        }));
    } else {
        let rows = kills.iter().map(|kill| {
            let ms = |ms: f64| format!("{ms:.0}");
            [kill.node.to_string(), ms(kill.pause_ms), ms(kill.takeover_ms), ms(kill.recovery_ms)]
        });
        print_table(["KILLED", "PAUSE MS", "TAKEOVER MS", "RECOVERY MS"], rows);
        say(format!("\npause after kill -9: median {} ms, longest {} ms", middle.as_millis(), longest.as_millis()));
        let line = format!(
            "acked={} read={} lost={} duplicated={} reordered={} in_doubt={}",
            verdict.acked, verdict.read, verdict.lost, verdict.duplicated, verdict.reordered, verdict.in_doubt
        );
        say_long(&line, " ");
    }
    if !verdict.is_clean() {
        verdict.examples.iter().for_each(note);
        return Err(Failure::new(Code::Loss, "records are missing or wrong"));
    }
    super::setup::check_delivered(
        summary.refused,
        verdict.in_doubt,
        summary.first_problem.map(|error| error.to_string()),
    )
}

/// A load at a fixed rate over all partitions, each record with an identity.
struct Load {
    producer: Producer,
    topic: TopicHandle,
    partition_count: u32,
    values: Values,
    rate: u32,
}

impl Load {
    fn send(
        &self,
        mut sender: Sender,
        tracker: Tracker<Record, Ledger>,
    ) -> std::result::Result<Tracker<Record, Ledger>, Error> {
        let pace = Pace::new(Instant::now(), f64::from(self.rate));
        for index in 0.. {
            let partition = (index % u64::from(self.partition_count)) as u32;
            let key = partition.to_be_bytes();
            let value = self.values.get(index);
            let headers = [sequence_header(index)];
            let identity = Record::new(&key, index, value);
            let record = Outgoing::new(&self.topic)
                .partition(PartitionIndex(partition))
                .key(&key)
                .value(value)
                .headers(&headers);
            let due = pace.wait(index);
            let Some(delivery) = sender.send(&self.producer, record)? else { break };
            if tracker.track_blocking(partition, identity, due, delivery).is_err() {
                break;
            }
        }
        Ok(tracker)
    }
}
