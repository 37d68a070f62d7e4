//! The program `holdfast-controller`: flags, signals and exit codes. Everything else is in the library.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use holdfast_controller::{
    config::{self, Config},
    exit, run, telemetry,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The controller of Holdfast: holds the cluster's metadata, together with the other controllers.
///
/// Exit codes: 0 stopped in order, 1 failure (also: the address is in use), 2 wrong flags or configuration, 11 data
/// folder not usable, 12 folder of another cluster, 13 store damaged, 14 storage failed, 15 consensus stopped.
#[derive(Debug, Parser)]
#[command(name = "holdfast-controller", version)]
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
        print!("{}", Config::markdown());
        return ExitCode::SUCCESS;
    }
    let path = flags.config.unwrap_or_default();
    let config = match config::load(Some(&path), &flags.overrides) {
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
    // Before the start: a signal that comes early must find somebody.
    let mut signals = match catch_signals() {
        Ok(signals) => signals,
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
            _ = signals.wait_for(|stop| *stop) => None,
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

/// True once SIGTERM or SIGINT came; a second one ends the process at once.
fn catch_signals() -> std::io::Result<watch::Receiver<bool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(guard);
    let (stop, stopped) = watch::channel(false);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if stop.send_replace(true) {
                    tracing::warn!("a second signal: ending at once");
                    std::process::exit(1);
                }
            }
        });
    })?;
    Ok(stopped)
}

/// A panic of any thread ends the process, also where the profile would unwind: a dead part in a live controller is the
/// worst state.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        tracing::error!(panic = %info, "a broken invariant: the process ends rather than serve on");
        std::process::abort();
    }));
}
