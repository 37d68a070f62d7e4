//! The command line that both programs have, and how they end.
//!
//! Place: `main` flattens [`Flags`] into its own command, asks [`settings`] for the configuration, then runs.
//!
//! 1. Exit code 2 is for wrong flags and a wrong configuration, and for nothing else.
//! 2. The first SIGTERM or SIGINT asks for a stop in order; a second one ends the process at once, with 3. Nothing that
//!    was acknowledged is lost by it: it was on disk before.
//! 3. The program may be process 1 of a container, which gets no signal that it does not catch: both are caught before
//!    anything else is done. It starts no other process, so it has none to reap.
//! 4. A panic of any thread aborts the process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    exit::Code,
    settings::{self, Problems, Settings},
};

/// What is said where `address`, given by `option`, cannot be listened on for `reason`.
pub fn address_in_use(address: &str, option: &str, reason: &str) -> String {
    format!("cannot listen on {address}: {reason}. Stop the program that listens there, or change '{option}'")
}

/// The flags of both programs.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE", required_unless_present = "print_options")]
    pub config: Option<PathBuf>,
    /// Override an option of the file; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Check the configuration, report every problem, and end.
    #[arg(long)]
    pub check_config: bool,
    /// With --check-config: keep a copy of a file that is right, for a node that is to start again with what was
    /// checked, whatever becomes of the file.
    #[arg(long, value_name = "COPY", requires = "check_config")]
    pub keep_checked: Option<PathBuf>,
    /// Print every option with its meaning, default and range, as a TOML file to start from, and end.
    #[arg(long)]
    pub print_options: bool,
}

/// The configuration that the flags lead to; an exit code where they only ask for a look, or where it is wrong.
///
/// `--print-options` prints a TOML file to start from; `load` reads the file and the overrides.
pub fn settings<C: Settings>(
    flags: &Flags,
    program: &str,
    load: impl FnOnce(&Path, &[String]) -> Result<C, Problems>,
) -> Result<C, ExitCode> {
    if flags.print_options {
        print!("{}", settings::toml::<C>(program));
        return Err(ExitCode::SUCCESS);
    }
    let path = flags.config.as_deref().unwrap_or(Path::new(""));
    let config = load(path, &flags.overrides).map_err(|problems| {
        eprintln!("{problems}");
        ExitCode::from(Code::Usage)
    })?;
    if flags.check_config {
        if let Some(copy) = &flags.keep_checked {
            // Without the permissions of the file: the copy is written again when the check is.
            fs::read(path).and_then(|content| fs::write(copy, content)).map_err(|error| {
                eprintln!("cannot keep a copy of {} at {}: {error}", path.display(), copy.display());
                ExitCode::FAILURE
            })?;
        }
        println!("{}: no problem found", path.display());
        return Err(ExitCode::SUCCESS);
    }
    Ok(config)
}

/// Tells when the program is asked to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Catches SIGTERM and SIGINT from now on. To be called before the start: a signal that comes early must find
    /// somebody. A thread of its own waits for them, so that a second signal ends even a program that hangs.
    pub fn on_signals() -> io::Result<Self> {
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
                        std::process::exit(Code::Interrupted as i32);
                    }
                }
            });
        })?;
        Ok(Self(stopped))
    }

    /// Waits until the first signal came.
    pub async fn asked(&mut self) {
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

/// A panic of any thread ends the process, also where the profile would unwind: a dead part in a live node is the
/// worst state.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        tracing::error!(panic = %info, "a broken invariant: the process ends rather than serve on");
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Problem, Problems};

    crate::options! {
        /// The smallest table: what is tested here is the file.
        struct Config;

        /// A number, of any meaning.
        a: u32 = 1;
    }

    impl Config {
        #[expect(clippy::unused_self, reason = "the table calls it")]
        fn validate(&self) -> Vec<(&'static str, String)> {
            Vec::new()
        }
    }

    fn check(flags: &Flags, right: bool) -> String {
        let load = |_: &Path, _: &[String]| {
            if right { Ok(Config::default()) } else { Err(Problems(Vec::<Problem>::new())) }
        };
        format!("{:?}", settings(flags, "n", load).expect_err("it only looks"))
    }

    #[test]
    fn a_checked_file_is_kept_and_a_wrong_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("file.toml"), folder.path().join("copy.toml"));
        fs::write(&file, "a = 1").unwrap();
        let flags = Flags {
            config: Some(file.clone()),
            overrides: Vec::new(),
            check_config: true,
            keep_checked: Some(copy.clone()),
            print_options: false,
        };
        assert_eq!(check(&flags, false), format!("{:?}", ExitCode::from(Code::Usage)));
        assert!(!copy.exists());
        assert_eq!(check(&flags, true), format!("{:?}", ExitCode::SUCCESS));
        fs::write(&file, "a = 2").unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "a = 1");
        assert_eq!(check(&flags, true), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(fs::read_to_string(&copy).unwrap(), "a = 2");
        let nowhere = Flags { keep_checked: Some(folder.path().join("no/copy.toml")), ..flags };
        assert_eq!(check(&nowhere, true), format!("{:?}", ExitCode::FAILURE));
    }
}
