//! The program `holdfast-controller`: flags, signals and exit codes. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;

use holdfast_controller::{config, raft, run};
use holdfast_node::{
    program::{self, Flags, Stop},
    telemetry,
};

/// The controller of Holdfast: holds the cluster's metadata, together with the other controllers.
///
/// Exit codes: 0 stopped in order, 1 failure, 2 wrong flags or configuration, 3 ended at once by a second signal, 10
/// address in use, 11 data folder not usable or in use, 12 folder of another cluster, 13 store damaged, 14 storage
/// failed, 15 consensus stopped, 16 replaced in the quorum while it was away, 134 broken invariant.
#[derive(Debug, Parser)]
#[command(name = "holdfast-controller", version)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let Command { flags } = Command::parse();
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
