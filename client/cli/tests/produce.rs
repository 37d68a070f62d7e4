//! `holdfast produce` and `holdfast consume` with input, output and signals as they come.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, holdfast};

/// Gives the input to a command that ends with the code; its standard output and error.
#[track_caller]
fn with_input(dir: &Path, code: i32, arguments: &[&str], input: &[u8]) -> (String, String) {
    let mut child = holdfast(dir, arguments).stdin(Stdio::piped()).spawn().unwrap();
    // It may end without having read everything.
    let _closed = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "holdfast {}\n{out}\n{err}", arguments.join(" "));
    (out, err)
}

fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).unwrap();
}

/// The child's exit code, which comes within a few seconds, and its standard error.
#[track_caller]
fn ends_soon(mut child: Child) -> (Option<i32>, String) {
    let start = Instant::now();
    eventually("the command ends", || child.try_wait().unwrap().is_some());
    assert!(start.elapsed() < Duration::from_secs(10), "after {:?}", start.elapsed());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// True once the process handles SIGINT (signal 2) itself.
fn listens(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 2 != 0)
}

#[test]
fn input_of_any_size_is_delivered_or_named_and_signals_end_it_at_any_moment() {
    let Some((cluster, _)) = Cluster::up(&["-n", "1"]) else { return };
    let dir = &cluster.dir();
    large_and_small_records(dir);
    a_stuck_output(dir);
    signals(dir);
    signals_while_it_sends(dir);
}

fn large_and_small_records(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "small", "--partitions", "1", "-c", "max.message.bytes=2048"]);
    let numbers = (1..=400).map(|number| number.to_string() + "\n").collect::<String>();
    with_input(dir, 0, &["produce", "small", "-p", "0"], numbers.as_bytes());
    assert_eq!(ends_with(dir, 0, &["consume", "small"]).0, numbers);

    ends_with(dir, 0, &["topic", "create", "t", "--partitions", "1"]);
    let (_, said) = with_input(dir, 0, &["produce", "t"], b"x\n");
    assert!(said.contains("1 record → t-0@0"), "{said}");
    with_input(dir, 0, &["produce", "t", "-D", ""], &vec![b'x'; 1 << 20]);
    let (out, _) = with_input(dir, 0, &["produce", "t", "-D", "", "-k", "k", "-Z", "-o", "json"], b"");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["sent"], &json["partitions"][0]["last_offset"]), (&1.into(), &2.into()), "a tombstone: {out}");

    // Neither the records before nor those behind one that is too large are left in doubt.
    let mut input = b"a\nb\n".to_vec();
    input.resize(input.len() + 3_000_000, b'x');
    input.extend(b"\nc\n");
    let (_, said) = with_input(dir, 1, &["produce", "t"], &input);
    for part in ["standard input, record 3", "max.message.bytes of topic 't'", "2 before it are delivered"] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    // What was read behind it is counted, and it with it.
    let input = format!("a\nb\n{}\nc\nd\n", "x".repeat(3_000));
    let (out, _) = with_input(dir, 1, &["produce", "small", "-o", "json"], input.as_bytes());
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["sent"], &json["not_sent"]), (&2.into(), &3.into()), "{out}");
    // A record without an end is not read into memory.
    let (_, said) = with_input(dir, 1, &["produce", "t"], &vec![b'x'; 40 << 20]);
    assert!(said.contains("record 1: it is longer than 16777216 bytes"), "{said}");
}

fn a_stuck_output(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "many", "--partitions", "1"]);
    with_input(dir, 0, &["produce", "many"], "a line of some length\n".repeat(100_000).as_bytes());
    let mut child = holdfast(dir, &["consume", "many"]).spawn().unwrap();
    // It has begun to write, and nobody reads on.
    let mut out = BufReader::with_capacity(100, child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(ends_soon(child).0, Some(143));
}

fn signals(dir: &Path) {
    // While it waits for input that does not come.
    let mut idle = holdfast(dir, &["produce", "t"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = idle.stdin.take().unwrap();
    // A record that has only begun holds up none, and is not forgotten.
    input.write_all(b"one\ntw").unwrap();
    let sizes = || ends_with(dir, 0, &["consume", "t", "-s", "-1"]).0;
    eventually("the record is there", || sizes() == "one\n");
    signal(&idle, Signal::INT);
    let (code, said) = ends_soon(idle);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted; 1 record delivered; 1 more was read and not sent"), "{said}");
    drop(input);

    // While nothing can be delivered: the first says what it waits for, the second ends it.
    ends_with(dir, 0, &["dev", "suspend", "broker-1"]);
    let starting = holdfast(dir, &["produce", "t"]).stdin(Stdio::piped()).spawn().unwrap();
    eventually("it listens", || listens(&starting));
    signal(&starting, Signal::INT);
    let (code, said) = ends_soon(starting);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted before anything was read"), "{said}");
    ends_with(dir, 0, &["dev", "resume", "broker-1"]);

    let mut stuck = holdfast(dir, &["produce", "t"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = stuck.stdin.take().unwrap();
    input.write_all(b"two\n").unwrap();
    eventually("the record is there", || sizes() == "two\n");
    ends_with(dir, 0, &["dev", "suspend", "broker-1"]);
    input.write_all(b"three\n").unwrap();
    drop(input);
    let mut lines = BufReader::new(stuck.stderr.take().unwrap()).lines();
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("waiting for 1 record without an answer"), "{said}");
    signal(&stuck, Signal::INT);
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("waiting for 1 record without an answer"), "{said}");
    signal(&stuck, Signal::INT);
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert_eq!(ends_soon(stuck).0, Some(4), "{rest:?}");
    assert!(rest.join("\n").contains("1 of 2 records are in doubt"), "{rest:?}");
    ends_with(dir, 0, &["dev", "resume", "broker-1"]);
}

/// With the buffer full, the second signal ends it as fast as without.
fn signals_while_it_sends(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "full", "--partitions", "1"]);
    let mut stuck = holdfast(dir, &["produce", "full"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = stuck.stdin.take().unwrap();
    input.write_all(b"one\n").unwrap();
    eventually("the record is there", || ends_with(dir, 0, &["consume", "full"]).0 == "one\n");
    ends_with(dir, 0, &["dev", "suspend", "broker-1"]);
    let written = Arc::new(AtomicUsize::new(0));
    let writer = thread::spawn({
        let written = Arc::clone(&written);
        move || {
            let line = ["x".repeat(64 << 10), "\n".to_owned()].concat();
            while input.write_all(line.as_bytes()).is_ok() {
                written.fetch_add(line.len(), Ordering::Relaxed);
            }
        }
    });
    let mut last = (0, Instant::now());
    eventually("the buffer is full, and nothing more is read", || {
        let now = written.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        now > 32 << 20 && last.1.elapsed() > Duration::from_millis(300)
    });
    let mut lines = BufReader::new(stuck.stderr.take().unwrap()).lines();
    signal(&stuck, Signal::INT);
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("without an answer so far")));
    signal(&stuck, Signal::INT);
    assert_eq!(ends_soon(stuck).0, Some(4));
    let rest = lines.map_while(Result::ok).collect::<Vec<_>>().join("\n");
    assert!(rest.contains("are in doubt") && rest.contains("more were read and not sent"), "{rest}");
    writer.join().unwrap();
    ends_with(dir, 0, &["dev", "resume", "broker-1"]);
}
