//! The program `holdfast-broker`: flags, signals and exit codes. Everything else is in the library.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use holdfast_broker::{
    broker::{Broker, edge_threads},
    config::{self, Config},
    exit, telemetry,
};
use tokio::signal::unix::{SignalKind, signal};

/// The broker of Holdfast: holds replicas of partitions and serves producers and consumers.
///
/// Exit codes: 0 stopped in order, 1 failure, 2 wrong flags or configuration, 10 address in use, 11 data folder not
/// usable, 12 controllers of another cluster, 13 a log is damaged, 14 storage failed, 15 registration refused.
#[derive(Debug, Parser)]
#[command(name = "holdfast-broker", version)]
struct Flags {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE", required_unless_present = "print_options")]
    config: Option<PathBuf>,
    /// Overrides an option of the file; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Checks the configuration, reports every problem, and ends.
    #[arg(long)]
    check_config: bool,
    /// Prints every option with its meaning, default and range, and ends.
    #[arg(long)]
    print_options: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.print_options {
        print!("{}", config::reference_toml());
        return ExitCode::SUCCESS;
    }
    let path = flags.config.unwrap_or_default();
    let config = match config::load(&path, &flags.overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit::USAGE);
        }
    };
    if flags.check_config {
        println!("{}: no problem found", path.display());
        return ExitCode::SUCCESS;
    }
    telemetry::start(&config);
    end_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(edge_threads(&config))
        .thread_name("hf-edge")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(config));
            // Streams of clients may still stand: nothing is waited for any more.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            tracing::error!(%error, "no runtime");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> ExitCode {
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be caught");
            return ExitCode::FAILURE;
        }
    };
    let started = tokio::select! {
        started = Broker::start(config) => started,
        _ = terminate.recv() => return ExitCode::SUCCESS,
        _ = interrupt.recv() => return ExitCode::SUCCESS,
    };
    let broker = match started {
        Ok(broker) => broker,
        Err(fatal) => {
            tracing::error!(code = fatal.number(), reason = %fatal, "the broker does not start");
            return fatal.code();
        }
    };
    tokio::select! {
        fatal = broker.failed() => return fatal.code(),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: handing over the partitions; a second signal ends at once");
    tokio::select! {
        () = broker.stop() => ExitCode::SUCCESS,
        _ = terminate.recv() => ExitCode::FAILURE,
        _ = interrupt.recv() => ExitCode::FAILURE,
    }
}

/// A panic of any thread ends the process, also where the profile would unwind: a dead actor in a live broker is the
/// worst state.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        tracing::error!(panic = %info, "a broken invariant: the process ends rather than serve on");
        std::process::abort();
    }));
}
