//! `holdfast consume`: where it begins, what one partition's trouble hides, and a topic that grows.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Stdio,
};

use rustix::process::{Pid, Signal};

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
