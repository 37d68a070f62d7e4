//! Running other programs, each with a deadline.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{Error, Result};

/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a failed program's output is told.
const TAIL_BYTES: usize = 1_500;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on every wait ends with [`Error::Interrupted`].
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Fails once somebody interrupted the run.
pub fn check_interrupted() -> Result {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The command, for messages.
    pub command: String,
    /// Its exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// All of its standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// All of its standard error; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Ended {
    /// Standard output, if the program says that it succeeded.
    pub fn success(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let both = format!("{}\n{}", self.stdout.trim(), self.stderr.trim());
        let mut from = both.len().saturating_sub(TAIL_BYTES);
        while !both.is_char_boundary(from) {
            from += 1;
        }
        let output = both[from..].trim().to_owned();
        Err(Error::Failed { command: self.command, code: self.status.to_string(), output })
    }
}

/// Runs a program to its end. After the deadline, or an interruption, it is killed.
pub fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Ended> {
    run_with(command, input, limit, check_interrupted)
}

/// As [`run`], to be used while cleaning up: an interruption does not end it.
pub fn run_to_end(command: &mut Command, limit: Duration) -> Result<Ended> {
    run_with(command, "", limit, || Ok(()))
}

fn run_with(command: &mut Command, input: &str, limit: Duration, check: impl Fn() -> Result) -> Result<Ended> {
    let name = describe(command);
    let problem = |source| Error::Run { command: name.clone(), source };
    // Files and not pipes: a program that leaves a child behind would hold a pipe open for ever.
    let mut files = [scratch().map_err(problem)?, scratch().map_err(problem)?, scratch().map_err(problem)?];
    files[0].write_all(input.as_bytes()).and_then(|()| files[0].seek(SeekFrom::Start(0))).map_err(problem)?;
    let handle = |file: &File| file.try_clone().map(Stdio::from).map_err(problem);
    command.stdin(handle(&files[0])?).stdout(handle(&files[1])?).stderr(handle(&files[2])?);
    let mut child = command.spawn().map_err(problem)?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(problem)? {
            break status;
        }
        let late =
            if Instant::now() < deadline { Ok(()) } else { Err(Error::TooLong { command: name.clone(), limit }) };
        if let Err(error) = late.and_then(|()| check()) {
            // It may have ended by itself just now.
            let _ended = child.kill();
            let _reaped = child.wait();
            return Err(error);
        }
        std::thread::sleep(LOOK);
    };
    let mut texts = [String::new(), String::new()];
    for (file, text) in files[1..].iter_mut().zip(&mut texts) {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(problem)?;
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let [stdout, stderr] = texts;
    Ok(Ended { command: name, status, stdout, stderr })
}

fn scratch() -> std::io::Result<File> {
    tempfile::tempfile()
}

/// The command as one would type it, without its folder.
fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String> {
        run(Command::new("sh").args(["-c", script]), "in", limit).and_then(Ended::success)
    }

    #[test]
    fn output_and_failure_are_told() {
        let limit = Duration::from_mins(1);
        assert_eq!(shell("cat; echo out", limit).unwrap(), "inout\n");
        let error = shell("echo why >&2; exit 3", limit).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let error = shell("exec sleep 600", Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
    }
}
