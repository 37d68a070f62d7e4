//! The programs, and how a test runs a command against a cluster of them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// True if there are programs to run against.
pub(crate) fn programs_are_there() -> bool {
    let there = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
    if !there {
        // Not by `eprintln`, which the harness keeps to itself where a test passes.
        let _closed = writeln!(std::io::stderr(), "not run: set HOLDFAST_BIN_DIR, as `make test` does");
    }
    there
}

/// The command line, with the cluster of this folder; what is temporary stands beside it.
pub(crate) fn holdfast(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(arguments).env("HOLDFAST_DEV_DIR", dir).env_remove("HOLDFAST_BOOTSTRAP");
    command.env("TMPDIR", dir.parent().unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    holdfast(dir, arguments).output().unwrap()
}

/// Runs a command that ends with this code; gives its standard output and error.
#[track_caller]
pub(crate) fn ends_with(dir: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    let output = run(dir, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "holdfast {}\n{out}\n{err}", arguments.join(" "));
    (out.into_owned(), err.into_owned())
}

/// A cluster in a folder of its own; ended and deleted even if the test fails.
pub(crate) struct Cluster(TempDir);

impl Cluster {
    /// Starts one with these flags of `dev up`, on free ports, and gives what that printed; `None` without programs.
    #[track_caller]
    pub(crate) fn up(flags: &[&str]) -> Option<(Self, String)> {
        if !programs_are_there() {
            return None;
        }
        let cluster = Self(tempfile::tempdir().unwrap());
        let (said, _) = ends_with(&cluster.dir(), 0, &[&["dev", "up", "--base-port", "0"], flags].concat());
        Some((cluster, said))
    }

    /// Its folder, for [`holdfast`] and all that runs commands.
    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("cluster")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        end(&self.dir());
    }
}

/// Ends the cluster of this folder and deletes it.
pub(crate) fn end(dir: &Path) {
    let ended = run(dir, &["dev", "down", "--wipe", "--yes"]);
    eprintln!("{}", String::from_utf8_lossy(&ended.stderr));
}
