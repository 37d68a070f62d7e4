//! The program `holdfast`. See [`holdfast_cli`].

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use holdfast_cli::{
    cli::{Cli, run},
    exit::{Code, Failure},
    output::{self, note},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return show(&said),
    };
    if let Err(failure) = cli.launch() {
        return end(&failure);
    }
    // For those who look for the cause of something: the client's own log.
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
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
        note(format!("error: {unwritten}"));
    }
    if !failure.message.is_empty() {
        note(format!("error: {failure}"));
    }
    ExitCode::from(failure.code as u8)
}
