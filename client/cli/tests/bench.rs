//! `holdfast bench`: what it leaves behind, and what it refuses to begin.

mod support;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::{Pid, Signal};

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, holdfast};

#[test]
fn a_bench_leaves_no_topic_behind_however_it_ends() {
    let Some((cluster, _)) = Cluster::up(&["-n", "1"]) else { return };
    let dir = &cluster.dir();
    let topics = || ends_with(dir, 0, &["topic", "ls", "-o", "json"]).0;

    let mut bench = holdfast(dir, &["bench", "latency", "--duration", "10m"]).spawn().unwrap();
    let mut said = BufReader::new(bench.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("to warm up"));
    assert!(topics().contains("bench-latency"));
    rustix::process::kill_process(Pid::from_child(&bench), Signal::INT).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(130));
    assert_eq!(topics().trim(), "[]");

    // A topic that is not its own stays, and so does nothing else: the loads end before the command does.
    ends_with(dir, 0, &["topic", "create", "kept", "--partitions", "1", "-r", "1"]);
    for round in 1..=3 {
        let args = ["bench", "produce", "--topic", "kept", "-n", "1000000000", "--size", "100", "--producers", "2"];
        let mut bench = holdfast(dir, &args).stderr(Stdio::null()).spawn().unwrap();
        let end = || {
            let described = ends_with(dir, 0, &["topic", "describe", "kept", "-o", "json"]).0;
            let described: serde_json::Value = serde_json::from_str(&described).unwrap();
            described["partitions"][0]["high_watermark"].as_u64().unwrap_or(0)
        };
        let before = end();
        eventually("it produces", || end() > before);
        rustix::process::kill_process(Pid::from_child(&bench), Signal::INT).unwrap();
        assert_eq!(bench.wait().unwrap().code(), Some(130), "round {round}");
    }
    ends_with(dir, 0, &["topic", "delete", "kept", "--yes"]);

    // One replica: a leader that is killed has nobody to take over.
    let (_, said) = ends_with(dir, 2, &["bench", "failover", "-r", "1", "--kills", "1"]);
    assert!(said.contains("nobody takes over from a leader that is killed"), "{said}");
    assert_eq!(topics().trim(), "[]");
}
