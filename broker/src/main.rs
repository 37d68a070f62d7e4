//! The program `holdfast-broker`: flags, signals and exit codes. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

use holdfast_broker::{
    config::{self, Config},
    life::start::{Broker, edge_threads},
};
use holdfast_node::{
    exit,
    program::{self, Flags, Stop},
    telemetry,
};

const EXAMPLES: &str = "\
Examples:
  # every option with its meaning, default and range, as a file to start from
  holdfast-broker --print-options > broker.toml
  # every problem of the file at once; starts nothing
  holdfast-broker --config broker.toml --check-config
  holdfast-broker --config broker.toml --set log_level=debug";

/// The broker of Holdfast: holds replicas of partitions and serves producers and consumers.
#[derive(Debug, Parser)]
#[command(name = "holdfast-broker", version, max_term_width = 80, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_has_examples_and_fits_a_narrow_terminal() {
        let help = Command::command().render_long_help().to_string();
        assert!(help.contains("\nExamples:\n") && help.contains("\nExit codes:\n"), "{help}");
        let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}
