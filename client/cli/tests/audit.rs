//! `holdfast audit` and `holdfast audit verify` against a real cluster.
//!
//! Needs the programs: `make test` builds them and sets HOLDFAST_BIN_DIR. Without that variable there is nothing to run
//! against, and the test says so.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal};

fn holdfast(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(arguments).env("HOLDFAST_DEV_DIR", dir).env_remove("HOLDFAST_BOOTSTRAP");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    holdfast(dir, arguments).output().unwrap()
}

/// Runs a command that ends with this code; gives its standard output.
#[track_caller]
fn ends_with(dir: &Path, code: i32, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "holdfast {}\n{out}\n{err}", arguments.join(" "));
    out.into_owned()
}

/// The number behind `name=` in the account's line.
#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let field = line.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    field.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}= in {line:?}"))
}

/// Ends the cluster even if the test fails.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let _output = run(self.0, &["dev", "down", "--wipe", "--yes"]);
    }
}

#[test]
fn what_audits_wrote_is_found_again_by_a_fresh_process() {
    if std::env::var_os("HOLDFAST_BIN_DIR").is_none() {
        eprintln!("not run: HOLDFAST_BIN_DIR is not set; `make test` sets it");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let dir = &root.path().join("cluster");
    let _down = Down(dir);
    ends_with(dir, 0, &["dev", "up", "-n", "3", "--base-port", "0"]);

    let load = ["audit", "-t", "a", "--create", "-p", "3", "-r", "3", "--rate", "500", "--duration", "1s"];
    let first = ends_with(dir, 0, &load);
    let acked = number(&first, "acked");
    assert!(acked > 100, "{first}");
    for (name, expected) in [("read", acked), ("live_read", acked), ("lost", 0), ("duplicated", 0), ("refused", 0)] {
        assert_eq!(number(&first, name), expected, "{name} in {first}");
    }

    // Without a duration it goes on until it is told to stop, and a topic may hold the records of other runs.
    let mut second = holdfast(dir, &["audit", "-t", "a", "--rate", "500"]).spawn().unwrap();
    let mut told = BufReader::new(second.stderr.take().unwrap()).lines();
    let flows = told.by_ref().any(|line| number(&line.unwrap(), "acked") > 100);
    assert!(flows, "it ended without any acknowledgement");
    rustix::process::kill_process(Pid::from_child(&second), Signal::TERM).unwrap();
    let rest: Vec<_> = told.map(Result::unwrap).collect();
    let output = second.wait_with_output().unwrap();
    let second = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{second}\n{}", rest.join("\n"));
    let all = acked + number(&second, "acked");

    let verified = ends_with(dir, 0, &["audit", "verify", "-t", "a", "--expect", &all.to_string()]);
    assert_eq!((number(&verified, "read"), number(&verified, "keys")), (all, 2 * 2 * 3), "{verified}");
    ends_with(dir, 3, &["audit", "verify", "-t", "a", "--expect", &(all + 1).to_string()]);
    ends_with(dir, 0, &["topic", "create", "empty", "--partitions", "1"]);
    ends_with(dir, 3, &["audit", "verify", "-t", "empty"]);
}
