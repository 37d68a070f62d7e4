//! The program `holdfast-broker`: flags, signals and exit codes. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

use holdfast_broker::{
    config::{self, Config},
    life::start::{Broker, edge_threads},
};
use holdfast_node::{
    program::{self, Flags, Stop},
    telemetry,
};

/// The broker of Holdfast: holds replicas of partitions and serves producers and consumers.
///
/// Exit codes: 0 stopped in order, 1 failure, 2 wrong flags or configuration, 3 ended at once by a second signal, 10
/// address in use, 11 data folder not usable, 12 controllers of another cluster, 13 a log is damaged, 14 storage failed,
/// 15 registration refused, 16 replaced by another process with the same id, 134 a broken invariant (abort).
#[derive(Debug, Parser)]
#[command(name = "holdfast-broker", version)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let Command { flags } = Command::parse();
    let config = match program::settings(&flags, "holdfast-broker", config::load) {
        Ok(config) => config,
        Err(code) => return code,
    };
    telemetry::start(&config.log_level, config.log_format, &[]);
    program::end_on_panic();
    let stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(edge_threads(&config))
        .thread_name("hf-edge")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(config, stop));
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

async fn run(config: Config, mut stop: Stop) -> ExitCode {
    let started = tokio::select! {
        started = Broker::start(config) => started,
        () = stop.asked() => return ExitCode::SUCCESS,
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
        () = stop.asked() => {}
    }
    tracing::info!("stopping: handing over the partitions; a second signal ends at once");
    match broker.stop().await {
        None => ExitCode::SUCCESS,
        Some(fatal) => fatal.code(),
    }
}
