//! What commands end with where nobody takes their output, or it cannot be written.

mod support;

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Stdio,
};

use rustix::process::{Pid, Signal};

use support::{Cluster, ends_with, holdfast};

/// Runs a command whose output has no reader from the start, to its end with this code; its standard error.
#[track_caller]
fn unread(dir: &Path, code: i32, arguments: &[&str], input: &[u8]) -> String {
    let mut child = holdfast(dir, arguments).stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "holdfast {}\n{said}", arguments.join(" "));
    said
}

#[test]
fn an_output_that_nobody_reads_changes_neither_what_is_done_nor_the_verdict() {
    let Some((cluster, _)) = Cluster::up(&["-n", "1"]) else { return };
    let dir = &cluster.dir();
    nobody_reads(dir);
    the_disk_is_full(dir);
    a_signal_while_following(dir);
}

fn nobody_reads(dir: &Path) {
    for name in ["a", "b", "c"] {
        ends_with(dir, 0, &["topic", "create", name, "--partitions", "1"]);
    }
    unread(dir, 0, &["topic", "ls"], b"");
    unread(dir, 3, &["audit", "verify", "-t", "a"], b"");
    let large = [&b"a\n"[..], &vec![b'x'; 3_000_000], b"\n"].concat();
    let said = unread(dir, 1, &["produce", "a", "-o", "json"], &large);
    assert!(said.contains("standard input, record 2"), "{said}");
    unread(dir, 0, &["consume", "a"], b"");
    unread(dir, 0, &["topic", "delete", "a", "b", "c", "--yes"], b"");
    assert_eq!(ends_with(dir, 0, &["topic", "ls", "-o", "json"]).0, "[]\n");
}

fn the_disk_is_full(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "full", "--partitions", "1"]);
    unread(dir, 0, &["produce", "full"], b"one\n");
    for arguments in [&["topic", "ls"][..], &["consume", "full"], &["topic", "delete", "full", "--yes"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = holdfast(dir, arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("error: cannot write to standard output"), "{said}");
    }
    assert_eq!(ends_with(dir, 0, &["topic", "ls", "-o", "json"]).0, "[]\n", "it is deleted all the same");
}

/// What is printed by then still comes, record by record.
fn a_signal_while_following(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "many", "--partitions", "1"]);
    let lines: Vec<_> = (0..50_000).map(|number| format!("{number:099}")).collect();
    unread(dir, 0, &["produce", "many"], (lines.join("\n") + "\n").as_bytes());
    let mut follower = holdfast(dir, &["consume", "many", "-f"]).spawn().unwrap();
    let mut out = BufReader::with_capacity(100, follower.stdout.take().unwrap());
    // It has begun to write, and its output is stuck.
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    rustix::process::kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    // Slower than the command would end if it did not wait for its output.
    let read: Vec<_> = [first.trim_end().to_owned()].into_iter().chain(out.lines().map(Result::unwrap)).collect();
    let (last, all) = (read.last(), &lines[..read.len()]);
    assert!(read == all, "a record is cut or missing; the last one: {last:?}");
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
