//! `holdfast consume`: where it begins, what one partition's trouble hides, and a topic that grows.

mod support;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal};

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, holdfast};

/// Gives these lines to one partition.
#[track_caller]
fn produce(dir: &Path, topic: &str, partition: &str, lines: &str) {
    let mut child = holdfast(dir, &["produce", topic, "-p", partition]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_there_is_read_and_what_is_not_is_named() {
    let Some((cluster, _)) = Cluster::up(&["-n", "2", "--controllers", "1"]) else { return };
    let dir = &cluster.dir();
    places_to_begin(dir);
    a_topic_that_grows(dir);
    names_that_do_not_exist(dir);
    signals_that_are_ignored(dir);
    a_partition_that_loses_its_leader(dir);
    a_partition_that_is_damaged(dir);
    a_partition_whose_leader_comes_late(dir);
    a_partition_without_a_leader(dir);
}

fn places_to_begin(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "ten", "--partitions", "1", "-r", "1"]);
    let lines: String = (0..10).flat_map(|number| [number.to_string(), "\n".to_owned()]).collect();
    produce(dir, "ten", "0", &lines);
    let (_, said) = ends_with(dir, 1, &["consume", "ten", "-s", "99999"]);
    assert!(said.contains("ten-0 holds 0 to below 10"), "{said}");
    assert_eq!(ends_with(dir, 0, &["consume", "ten", "-s", "10"]).0, "");
    assert_eq!(ends_with(dir, 0, &["consume", "ten", "-s", "8"]).0, "8\n9\n");
    let (out, said) = ends_with(dir, 0, &["consume", "ten", "-s", "@1769300000"]);
    assert_eq!(out, lines);
    assert!(said.contains("1970-01-21"), "{said}");
}

fn a_topic_that_grows(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "grows", "--partitions", "1", "-r", "1"]);
    produce(dir, "grows", "0", "first\n");
    let mut follower = holdfast(dir, &["consume", "grows", "-f"]).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    let (_, said) = ends_with(dir, 0, &["topic", "alter", "grows", "--partitions", "2"]);
    assert!(said.contains("a key's new records may go to another partition"), "{said}");
    produce(dir, "grows", "1", "second\n");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    rustix::process::kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    assert!(follower.wait().unwrap().success(), "that is the usual end of following");
}

fn names_that_do_not_exist(dir: &Path) {
    let begun = std::time::Instant::now();
    let (_, said) = ends_with(dir, 1, &["topic", "alter", "nosuch", "-c", "retention.ms=5h"]);
    assert!(said.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{said}");
    assert!(begun.elapsed().as_secs() < 10, "after {:?}", begun.elapsed());
    for wrong in ["::1:9201", "[::1", "fe80::1%lo:9201"] {
        let (_, said) = ends_with(dir, 2, &["topic", "ls", "-b", wrong]);
        assert!(said.contains(wrong) && said.contains("[::1]:port"), "{said}");
    }
}

/// As under `nohup`: who started it wants it to go on.
fn signals_that_are_ignored(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "goes-on", "--partitions", "1", "-r", "1"]);
    produce(dir, "goes-on", "0", "first\n");
    let follow = holdfast(dir, &["consume", "goes-on", "-f"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""]).arg(follow.get_program()).args(follow.get_args());
    shell.env("HOLDFAST_DEV_DIR", dir).env_remove("HOLDFAST_BOOTSTRAP");
    let mut follower = shell.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    for signal in [Signal::HUP, Signal::INT] {
        rustix::process::kill_process(Pid::from_child(&follower), signal).unwrap();
    }
    produce(dir, "goes-on", "0", "second\n");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    rustix::process::kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    assert!(follower.wait().unwrap().success());
}

/// It is named after a while, though another partition gets more all the time.
fn a_partition_that_loses_its_leader(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "loses", "--partitions", "2", "-r", "1"]);
    produce(dir, "loses", "0", "a\n");
    produce(dir, "loses", "1", &("x".repeat(1_000) + "\n").repeat(20_000));
    let described = ends_with(dir, 0, &["topic", "describe", "loses", "-o", "json"]).0;
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let leader = format!("broker-{}", described["partitions"][1]["leader"]);
    let mut reading = holdfast(dir, &["consume", "loses"]).spawn().unwrap();
    let mut out = BufReader::new(reading.stdout.take().unwrap());
    // It reads no more than a part before its output goes on.
    out.read_line(&mut String::new()).unwrap();
    ends_with(dir, 0, &["dev", "kill", &leader]);
    let drain = thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()).unwrap());
    let mut others = holdfast(dir, &["produce", "loses", "-p", "0"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = others.stdin.take().unwrap();
    let said = Arc::new(Mutex::new(String::new()));
    let listener = thread::spawn({
        let (said, mut lines) = (Arc::clone(&said), BufReader::new(reading.stderr.take().unwrap()).lines());
        move || {
            while let Some(Ok(line)) = lines.next() {
                said.lock().unwrap().push_str(&(line + "\n"));
            }
        }
    });
    eventually("it is told who is waited for", || {
        input.write_all(b"more\n").unwrap();
        said.lock().unwrap().contains("waiting for loses-1 (read up to offset ")
    });
    rustix::process::kill_process(Pid::from_child(&reading), Signal::INT).unwrap();
    assert_eq!(reading.wait().unwrap().code(), Some(130), "{}", said.lock().unwrap());
    drop(input);
    assert!(others.wait_with_output().unwrap().status.success());
    drain.join().unwrap();
    listener.join().unwrap();
    ends_with(dir, 0, &["dev", "start", &leader]);
}

/// The others are read to their ends all the same.
fn a_partition_that_is_damaged(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "damaged", "--partitions", "2", "-r", "1"]);
    produce(dir, "damaged", "0", "to be damaged\n");
    let lines = ("x".repeat(1_000) + "\n").repeat(20_000);
    produce(dir, "damaged", "1", &lines);
    // Without what they hold in memory they read their disks.
    ends_with(dir, 0, &["dev", "restart", "broker-1", "broker-2"]);
    let is_it =
        |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.windows(13).any(|part| part == b"to be damaged"));
    let path = segments(dir).into_iter().find(is_it).expect("a segment with the record");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(13).position(|part| part == b"to be damaged").unwrap();
    bytes[at] ^= 1;
    File::options().write(true).open(path).unwrap().write_all(&bytes).unwrap();
    let mut reading = holdfast(dir, &["consume", "damaged"]).spawn().unwrap();
    let mut stdout = BufReader::new(reading.stdout.take().unwrap());
    let mut out = String::new();
    // It reads no more than a part before its output goes on, and by then meets the damage.
    stdout.read_line(&mut out).unwrap();
    eventually("the damage is found", || {
        let logs = ["broker-1", "broker-2"].map(|node| ends_with(dir, 0, &["dev", "logs", node]).0);
        logs.iter().any(|log| log.contains("damaged"))
    });
    stdout.read_to_string(&mut out).unwrap();
    let ended = reading.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(out == lines, "{} bytes of {}: {said}", out.len(), lines.len());
    assert!(said.contains("error: damaged-0 cannot be read at offset 0"), "{said}");
    produce(dir, "damaged", "0", "behind it\n");
    let (out, said) = ends_with(dir, 3, &["consume", "damaged", "-p", "0", "--skip-corrupt"]);
    assert!(out == "behind it\n" && said.contains("passed over: offsets 0 to below 1"), "{out} {said}");
}

/// The segment files of all partitions of all brokers.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let partitions = entries(&dir.join("data")).flat_map(|node| entries(&node.join("partitions")).collect::<Vec<_>>());
    let files = partitions.flat_map(|partition| entries(&partition).collect::<Vec<_>>());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// What is written to it before it is found belongs to what comes from the start of the command on.
fn a_partition_whose_leader_comes_late(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "late", "--partitions", "2", "-r", "1"]);
    produce(dir, "late", "1", "before\n");
    let described = ends_with(dir, 0, &["topic", "describe", "late", "-o", "json"]).0;
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let leader = format!("broker-{}", described["partitions"][1]["leader"]);
    ends_with(dir, 0, &["dev", "kill", &leader]);
    let mut follower = holdfast(dir, &["consume", "late", "-f", "-s", "end"]).spawn().unwrap();
    let mut said = BufReader::new(follower.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("late-1 has no leader now"));
    // It looks for the partition from time to time; while it stands still, it does not.
    rustix::process::kill_process(Pid::from_child(&follower), Signal::STOP).unwrap();
    ends_with(dir, 0, &["dev", "start", &leader]);
    produce(dir, "late", "1", "since\n");
    rustix::process::kill_process(Pid::from_child(&follower), Signal::CONT).unwrap();
    let (tell, told) = mpsc::channel();
    let mut out = BufReader::new(follower.stdout.take().unwrap());
    let listener = thread::spawn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        drop(tell.send(line));
    });
    let line = told.recv_timeout(Duration::from_secs(30));
    rustix::process::kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    assert!(follower.wait().unwrap().success());
    listener.join().unwrap();
    assert_eq!(line.unwrap(), "since\n");
}

fn a_partition_without_a_leader(dir: &Path) {
    ends_with(dir, 0, &["topic", "create", "spread", "--partitions", "2", "-r", "1"]);
    produce(dir, "spread", "0", "a\n");
    produce(dir, "spread", "1", "b\n");
    let described = ends_with(dir, 0, &["topic", "describe", "spread", "-o", "json"]).0;
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let leader = &described["partitions"][1]["leader"];
    ends_with(dir, 0, &["dev", "kill", &format!("broker-{leader}")]);
    let (out, said) = ends_with(dir, 1, &["consume", "spread"]);
    assert_eq!(out, "a\n");
    assert!(said.contains("spread-1 has no leader now"), "{said}");
}
