//! The program `holdfast`. See [`holdfast_cli`].

use std::{io::IsTerminal as _, process::ExitCode};

use clap::{CommandFactory, Parser};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use holdfast_cli::{
    cli::{Cli, run},
    connect::variable,
    exit::{Code, Failure},
    output::{self, note},
    suggest::improved,
    width::note_error,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return show(&improved(said, &Cli::command())),
    };
    if let Err(failure) = cli.launch() {
        return end(&failure);
    }
    let level = variable("HOLDFAST_LOG").and_then(|level| log_filter(level.unwrap_or_default().trim()));
    let filter = match level {
        Ok(filter) => filter,
        Err(failure) => return end(&failure),
    };
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format!("error: cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(cli));
    // A read of standard input that nobody awaits any more must not hold up the end.
    runtime.shutdown_background();
    match result.and_then(|()| output::ended()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure),
    }
}

/// For those who look for the cause of something: what the client itself does. A level alone is that of Holdfast's own parts;
/// libraries are asked for by name, as in `h2=debug`.
fn log_filter(text: &str) -> Result<EnvFilter, Failure> {
    let own = |level: LevelFilter| EnvFilter::new(format!("error,holdfast={level}"));
    match text.parse::<LevelFilter>() {
        _ if text.is_empty() => Ok(EnvFilter::new("error")),
        Ok(level) => Ok(own(level)),
        Err(_) if text.contains('=') => {
            EnvFilter::try_new(text).map_err(|error| Failure::usage(format!("HOLDFAST_LOG: '{text}': {error}")))
        }
        Err(_) => Err(Failure::usage(format!(
            "HOLDFAST_LOG: unknown level '{text}'; known: error, warn, info, debug, trace, or target=level"
        ))),
    }
}

/// Prints help, the version, or what is wrong with the flags.
fn show(said: &clap::Error) -> ExitCode {
    let code = u8::try_from(said.exit_code()).unwrap_or(Code::Usage as u8);
    if let Err(error) = said.print() {
        output::keep(error);
    }
    match output::ended() {
        Err(failure) if code == Code::Ok as u8 => end(&failure),
        _ => ExitCode::from(code),
    }
}

fn end(failure: &Failure) -> ExitCode {
    // Output that is missing is told beside what else went wrong, and does not outweigh it.
    if let Err(unwritten) = output::ended()
        && unwritten.message != failure.message
    {
        note_error(&unwritten.message);
    }
    if !failure.message.is_empty() {
        note_error(&failure.message);
    }
    ExitCode::from(failure.code as u8)
}
