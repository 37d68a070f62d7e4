//! `holdfast bench`: what it leaves behind, and what it refuses to begin.

mod support;

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal};

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

    // One replica: a leader that is killed has nobody to take over.
    let (_, said) = ends_with(dir, 2, &["bench", "failover", "-r", "1", "--kills", "1"]);
    assert!(said.contains("nobody takes over from a leader that is killed"), "{said}");
    assert_eq!(topics().trim(), "[]");
}
