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
    text::{bytes, counted, grouped},
};
use holdfast_client::{Client, ClientConfig, admin::NewTopic};
use holdfast_local::{ClusterSpec, ProcessCluster};
use holdfast_proto::batch::Compression;

use super::{
    faults,
    input::{self, Input},
    produce,
    report::{Report, fault_line},
    sandbox::{self, Sandbox},
};
use crate::{
    delivery::parse_compression,
    exit::{Code, Failure, Result},
    output::{Output, note, print_json},
    progress::Progress,
    signals::Signals,
    width::say_long,
};

/// Name of the demo's topic.
const TOPIC: &str = "demo";
/// How long the cluster may take to start.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How often a line's bytes may stand on the disk of one replica, roughly: keys are as long as the lines.
const REPLICA_FACTOR: u64 = 3;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  # every source file in cargo's registry folder
  holdfast demo
  holdfast demo --input /usr/share/doc    any file or folder
  holdfast demo --kills 10 --controller-kills 5
  holdfast demo -n 5 -r 5 --partitions 200 -z zstd

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
    /// Number of brokers of the cluster.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    brokers: u32,
    /// Number of controllers of the cluster.
    #[arg(long, value_name = "N", default_value_t = 3)]
    controllers: u32,
    /// Number of partitions of the topic.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: u32,
    /// Replicas of each partition [default: 3, or as many as there are brokers].
    #[arg(short, long, alias = "replicas", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replication_factor: Option<u32>,
    /// Compression: none, gzip, snappy, lz4, zstd.
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = parse_compression)]
    compression: Compression,
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

impl DemoArgs {
    fn replicas(&self) -> u32 {
        self.replication_factor.unwrap_or_else(|| self.brokers.min(3))
    }

    /// Fails if nobody could take over from a node that is to be killed.
    fn check(&self) -> Result {
        let (brokers, replicas) = (self.brokers, self.replicas());
        let controllers = self.controllers;
        let mut problems = Vec::new();
        if replicas > brokers {
            problems.push(format!("{replicas} replicas need as many brokers, not {brokers}; write -n {replicas}"));
        }
        if self.kills > 0 && replicas < 2 {
            problems
                .push("with one replica nobody takes over from a leader that is killed; write --kills 0".to_owned());
        }
        if self.controller_kills > 0 && controllers < 3 {
            problems.push(format!(
                "with {controllers} controllers nobody takes over from the active one; write --controller-kills 0"
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(Failure::usage(problems.join("\n"))) }
    }
}

/// Runs the demo in a folder of its own, removed if no record is lost. Fails with the report's exit code.
pub async fn run(args: DemoArgs, output: Output) -> Result {
    args.check()?;
    let mut signals = Signals::listen()?;
    let root = args.input.clone().or_else(input::default_root);
    let root = root.ok_or_else(|| Failure::usage("cargo's registry folder is empty; name an --input"))?;
    let looking = tokio::task::spawn_blocking({
        let root = root.clone();
        move || Input::find(&root)
    });
    let input = tokio::select! {
        input = looking => input.map_err(|error| Failure::error(format!("the look for input failed: {error}")))??,
        code = signals.wait() => return Err(Failure::new(code, "interrupted before anything was started")),
    };
    let mut sandbox = Sandbox::make(args.data_dir.as_deref())?;
    sandbox.check_room(input.bytes.saturating_mul(u64::from(args.replicas()) * REPLICA_FACTOR))?;
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
        print_json(&report.json());
    } else {
        for line in report.lines().iter().chain([&report.summary()]) {
            say_long(line, " ");
        }
    }
    if code == Code::Ok { Ok(()) } else { Err(Failure::new(code, "")) }
}

async fn demo(args: &DemoArgs, input: Input, sandbox: &Sandbox) -> Result<Report> {
    let start = Instant::now();
    let DemoArgs { brokers, controllers, partitions, .. } = *args;
    let spec = ClusterSpec { brokers, controllers, ..ClusterSpec::tied(sandbox.dir())? };
    let mut cluster = ProcessCluster::up(&spec, START_PATIENCE).await?;
    note(format!(
        "cluster: {} and {}, ready after {:.1} s in {}",
        counted(u64::from(controllers), "controller"),
        counted(u64::from(brokers), "broker"),
        start.elapsed().as_secs_f64(),
        sandbox.dir().display()
    ));
    let client = Client::connect(ClientConfig::new(cluster.bootstrap())).await?;
    let (replicas, least) = (args.replicas(), args.replicas().min(2));
    let topic = NewTopic::new(TOPIC).partitions(partitions).replication_factor(replicas);
    client.admin().create_topic(topic.config("min.insync.replicas", least.to_string())).await?;
    let count = counted(u64::from(partitions), "partition");
    note(format!("topic: {count}, replication factor {replicas}, min.insync.replicas {least}"));

    let (due_sender, due) = mpsc::channel(1);
    let schedule = faults::schedule(args.kills, args.controller_kills, partitions);
    let watch = Arc::new(Watch::default());
    let progress = Progress::start("producing", input.bytes);
    let producer = produce::open(client.clone(), args.compression).await?;
    let producing = {
        let (watch, progress) = (Arc::clone(&watch), progress.clone());
        // A task of its own: reading and encoding must not hold up the faults.
        AbortOnDrop(tokio::spawn(async move {
            produce::produce(producer, TOPIC, &input, schedule, due_sender, watch, &progress).await
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::exit::Code;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: DemoArgs,
    }

    fn check(flags: &[&str]) -> Result {
        Flags::try_parse_from([&["demo"], flags].concat()).expect("the flags are read").args.check()
    }

    #[test]
    fn a_shape_without_a_successor_is_refused_before_anything_starts() {
        for (flags, word) in [
            (&["-n", "1"][..], "--kills 0"),
            (&["-r", "1"], "--kills 0"),
            (&["-r", "4"], "write -n 4"),
            (&["--controllers", "1"], "--controller-kills 0"),
        ] {
            let failure = check(flags).expect_err("it is refused");
            assert!(failure.code == Code::Usage && failure.message.contains(word), "{flags:?}: {failure}");
        }
        for flags in [
            &[][..],
            &["-n", "1", "--kills", "0"],
            &["-n", "5", "-r", "5", "--controllers", "5", "--partitions", "10000", "-z", "lz4"],
            &["-n", "2", "--controllers", "1", "--controller-kills", "0"],
        ] {
            check(flags).unwrap_or_else(|failure| panic!("{flags:?}: {failure}"));
        }
    }
}
