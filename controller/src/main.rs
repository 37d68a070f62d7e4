//! The program `holdfast-controller`: flags, signals and exit codes. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

use holdfast_controller::{
    config, raft,
    recover::{Recover, recover},
    run,
};
use holdfast_node::{
    exit,
    program::{self, Flags, Stop},
    telemetry,
};

const EXAMPLES: &str = "\
Examples:
  # every option with its meaning, default and range, as a file to start from
  holdfast-controller --print-options > controller.toml
  # every problem of the file at once; starts nothing
  holdfast-controller --config controller.toml --check-config
  holdfast-controller --config controller.toml --set log_level=debug
  # a lost majority of controllers: what this stopped one knows; changes nothing
  holdfast-controller recover --data-dir /data";

/// The controller of Holdfast: holds the cluster's metadata, together with the other controllers.
#[derive(Debug, Parser)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(name = "holdfast-controller", version, max_term_width = 80, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
struct Command {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Recover(Recover),
}

fn main() -> ExitCode {
    let Command { action, flags } = Command::parse();
    if let Some(Action::Recover(args)) = action {
        return match recover(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fatal) => {
                eprintln!("error: {fatal}");
                fatal.code()
            }
        };
    }
    let config = match program::settings(&flags, "holdfast-controller", config::load) {
        Ok(config) => config,
        Err(code) => return code,
    };
    telemetry::start(&raft::log_filter(&config.log_level), config.log_format, &[]);
    program::end_on_panic();
    // Before the start: a signal that comes early must find somebody.
    let mut stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught");
            return ExitCode::FAILURE;
        }
    };
    let controller = match run(config) {
        Ok(controller) => controller,
        Err(fatal) => {
            tracing::error!(code = fatal.number(), reason = %fatal, "the controller does not start");
            return fatal.code();
        }
    };
    let failed = controller.block_on(async {
        tokio::select! {
            fatal = controller.failed() => Some(fatal),
            () = stop.asked() => None,
        }
    });
    if let Some(fatal) = failed {
        tracing::error!(code = fatal.number(), reason = %fatal, "the controller cannot go on");
        fatal.code()
    } else {
        tracing::info!("stopping: handing over; a second signal ends at once");
        controller.stop();
        ExitCode::SUCCESS
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
