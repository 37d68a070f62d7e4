//! The demo from its start to its report.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::sync::mpsc;

use holdfast_checker::{
    ledger::Watch,
    readback,
    text::{bytes, grouped},
};
use holdfast_client::{Client, ClientConfig, admin::NewTopic};
use holdfast_local::{ClusterSpec, ProcessCluster};

use super::{
    faults,
    input::{self, Input},
    produce,
    report::{Report, fault_line},
    sandbox::{self, Sandbox},
};
use crate::{
    exit::{Code, Failure, Result},
    output::{Output, note, print_json, say},
    progress::Progress,
    signals::Signals,
};

/// Name of the demo's topic.
const TOPIC: &str = "demo";
/// How long the cluster may take to start.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How often a record's bytes may stand on the disks, roughly: three replicas, keys as long as the lines.
const DISK_FACTOR: u64 = 10;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  # every source file in cargo's registry folder
  holdfast demo
  holdfast demo --input /usr/share/doc    any file or folder
  holdfast demo --kills 10 --controller-kills 5

The last line, here broken in two, is the verdict:
  acked=… read=… lost=0 duplicated=0 reordered=0 failovers=…
  longest_pause_ms=…
Exit code 3 if a record is lost, duplicated or reordered.";

/// Arguments of `holdfast demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// File or folder whose lines are produced [default: the sources in cargo's registry folder].
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Number of partitions of the topic.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    partitions: u32,
    /// How many times the leader of a partition is killed.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=1_000))]
    kills: u32,
    /// How many times the active controller is killed.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=1_000))]
    controller_kills: u32,
    /// A new or empty folder for the cluster, removed afterwards [default: one in the temporary folder].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the demo in a folder of its own, removed if no record is lost. Fails with the report's exit code.
pub async fn run(args: DemoArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let root = args.input.clone().or_else(input::default_root);
    let root = root.ok_or_else(|| Failure::usage("cargo's registry folder is empty; name an --input"))?;
    let input = Input::find(&root)?;
    let mut sandbox = Sandbox::make(args.data_dir.as_deref())?;
    sandbox.check_room(input.bytes.saturating_mul(DISK_FACTOR))?;
    keep_logs_at_panic(&sandbox);
    note(format!(
        "input: {} text files, {} in {}",
        grouped(input.files.len() as u64),
        bytes(input.bytes),
        root.display()
    ));
    let ended = tokio::select! {
        ended = demo(&args, input, &sandbox) => ended,
        // Dropping the demo ends its processes; dropping the sandbox removes its folder.
        code = signals.wait() => {
            return Err(Failure::new(code, "interrupted; the cluster was ended and its folder removed"));
        }
    };
    let report = match ended {
        Ok(report) => report,
        Err(failure) => {
            sandbox.keep_logs();
            return Err(failure);
        }
    };
    let code = report.code();
    if code == Code::Loss {
        sandbox.keep_everything();
    }
    // Before the last line, so that it is the last.
    drop(sandbox);
    if output == Output::Json {
        print_json(&report.json())?;
    } else {
        for line in report.lines() {
            say(line)?;
        }
        say(report.summary())?;
    }
    if code == Code::Ok { Ok(()) } else { Err(Failure::new(code, "")) }
}

async fn demo(args: &DemoArgs, input: Input, sandbox: &Sandbox) -> Result<Report> {
    let start = Instant::now();
    let mut cluster = ProcessCluster::up(&ClusterSpec::tied(sandbox.dir())?, START_PATIENCE).await?;
    note(format!(
        "cluster: 3 controllers and 3 brokers, ready after {:.1} s in {}",
        start.elapsed().as_secs_f64(),
        sandbox.dir().display()
    ));
    let client = Client::connect(ClientConfig::new(cluster.bootstrap())).await?;
    let topic =
        NewTopic::new(TOPIC).partitions(args.partitions).replication_factor(3).config("min.insync.replicas", "2");
    client.admin().create_topic(topic).await?;
    note(format!("topic: {} partitions, replication factor 3, min.insync.replicas 2", args.partitions));

    let (due_sender, due) = mpsc::channel(1);
    let schedule = faults::schedule(args.kills, args.controller_kills, args.partitions);
    let watch = Arc::new(Watch::default());
    let progress = Progress::start("producing", input.bytes);
    let producing = {
        let (client, watch, progress) = (client.clone(), Arc::clone(&watch), progress.clone());
        // A task of its own: reading and encoding must not hold up the faults.
        AbortOnDrop(tokio::spawn(async move {
            produce::produce(client, TOPIC, &input, schedule, due_sender, watch, &progress).await
        }))
    };
    let faulting =
        async { Ok(faults::run(&mut cluster, TOPIC, due, |fault| progress.tell(&fault_line(fault))).await?) };
    let (produced, fault_reports) = tokio::try_join!(producing.wait(), faulting)?;

    let acked = produced.summary.account.acked();
    let progress = Progress::start("reading", acked);
    let reading = Instant::now();
    let verdict =
        readback::audit(&client, TOPIC, produced.summary.account.audit(), |told| progress.reading(&told)).await?;
    let read_in = reading.elapsed();
    progress.end();
    progress.tell(&format!(
        "read {} records in {:.1} s: {} records/s",
        grouped(verdict.read),
        read_in.as_secs_f64(),
        grouped((verdict.read as f64 / read_in.as_secs_f64().max(0.001)) as u64)
    ));
    Ok(Report {
        verdict,
        records: produced.records,
        refused: produced.summary.refused,
        first_problem: produced.summary.first_problem.map(|problem| problem.to_string()),
        faults: fault_reports,
        longest_pause: produced.summary.longest_pause,
        produced_in: produced.elapsed,
        read_in,
    })
}

/// A panic aborts the program without running destructors: the processes end with it, the folder would stay.
fn keep_logs_at_panic(sandbox: &Sandbox) {
    let dir = sandbox.dir().to_path_buf();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        sandbox::keep(&dir, false);
    }));
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<Result<T>> {
    async fn wait(mut self) -> Result<T> {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(error) => Err(Failure::error(format!("the load ended unexpectedly: {error}"))),
        }
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
