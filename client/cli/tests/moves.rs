//! A cluster grows and shrinks under load by the command line, and every acknowledged record stays.

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Child,
};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, holdfast, run};

#[track_caller]
fn json(dir: &Path, arguments: &[&str]) -> Value {
    let (out, _) = ends_with(dir, 0, &[arguments, &["-o", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// The audit's load, killed if the test fails.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Load {
    /// Starts it and waits until records are acknowledged.
    fn start(dir: &Path) -> Self {
        let load = ["audit", "-t", "load", "--create", "--partitions", "8", "-r", "3", "--rate", "800"];
        let mut child = holdfast(dir, &load).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let flows = told.by_ref().map_while(Result::ok).any(|line| line.contains("acked="));
        assert!(flows, "it ended without any acknowledgement");
        // A process that writes to a pipe that nobody reads stands still.
        std::thread::spawn(move || told.map_while(Result::ok).for_each(drop));
        Self(child)
    }

    /// Ends it; gives the line of its account.
    fn stop(mut self) -> String {
        rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok).collect::<Vec<_>>();
        let account = lines.pop().unwrap_or_default();
        assert_eq!(self.0.wait().unwrap().code(), Some(0), "{account}");
        account
    }
}

/// Replicas by broker, as `broker ls` shows them.
fn replicas(dir: &Path) -> Vec<(u64, u64)> {
    let brokers = json(dir, &["broker", "ls"]);
    let one = |broker: &Value| (broker["broker_id"].as_u64().unwrap(), broker["replica_count"].as_u64().unwrap());
    brokers.as_array().unwrap().iter().map(one).collect()
}

/// Folders of partitions on a broker's disk.
fn folders(dir: &Path, broker: u32) -> usize {
    std::fs::read_dir(dir.join(format!("data/broker-{broker}/partitions"))).unwrap().count()
}

#[test]
fn a_cluster_grows_and_shrinks_under_load() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    let load = Load::start(dir);

    // One broker more. A script has to say yes, and a plan changes nothing.
    ends_with(dir, 0, &["dev", "add"]);
    ends_with(dir, 2, &["partition", "rebalance"]);
    let plan = json(dir, &["partition", "rebalance", "--dry-run"]);
    assert_eq!(plan["moves"].as_array().unwrap().len(), 6, "{plan}");
    assert_eq!(replicas(dir), [(1, 8), (2, 8), (3, 8), (4, 0)]);
    let (out, err) = ends_with(dir, 0, &["partition", "rebalance", "--yes", "--throttle", "20MB/s", "--wait"]);
    assert!(out.contains("6 of 6 moves done") && err.contains("moving: 100 %"), "{out}\n{err}");
    assert_eq!(replicas(dir), [(1, 6), (2, 6), (3, 6), (4, 6)]);
    assert_eq!(json(dir, &["cluster", "status"])["move_bytes_per_second"], 0, "the limit is gone");
    let again = json(dir, &["partition", "rebalance", "--dry-run"]);
    assert_eq!(again["moves"], Value::Array(vec![]), "{again}");
    eventually("what moved away is deleted", || (1..=4).all(|broker| folders(dir, broker) == 6));

    // One broker less. The flag that names the cluster may come first.
    let bootstrap = json(dir, &["dev", "status"])["bootstrap"].as_str().unwrap().to_owned();
    let (out, _) = ends_with(dir, 0, &["-b", &bootstrap, "broker", "drain", "1", "--yes"]);
    assert!(out.lines().last().unwrap().contains("safe to remove"), "{out}");
    assert_eq!(replicas(dir), [(1, 0), (2, 8), (3, 8), (4, 8)]);
    eventually("nothing is left on its disk", || folders(dir, 1) == 0);
    let (_, err) = ends_with(dir, 1, &["broker", "remove", "2"]);
    assert!(err.contains("holdfast broker drain 2"), "{err}");
    let (_, err) = ends_with(dir, 1, &["broker", "remove", "1"]);
    assert!(err.contains("alive"), "{err}");
    ends_with(dir, 0, &["dev", "kill", "broker-1"]);
    eventually("it is fenced and forgotten", || run(dir, &["broker", "remove", "1"]).status.success());
    assert_eq!(replicas(dir), [(2, 8), (3, 8), (4, 8)]);

    // A fourth replica has no place to go to: the broker that would be drained next is needed.
    let (_, err) = ends_with(dir, 1, &["broker", "drain", "2", "--yes"]);
    assert!(err.contains("nothing was changed"), "{err}");

    let account = load.stop();
    for zero in ["lost=0", "duplicated=0", "reordered=0", "refused=0"] {
        assert!(account.contains(zero), "{account}");
    }
    println!("{account}");
}

#[test]
fn a_move_to_a_broker_that_is_down_waits_and_can_be_cancelled() {
    let Some((cluster, _)) = Cluster::up(&["-n", "4"]) else { return };
    let dir = &cluster.dir();
    ends_with(dir, 0, &["topic", "create", "t", "--partitions", "1", "--replication-factor", "3"]);
    let partition = |flags: &[&str]| json(dir, &[&["partition", "ls", "--topic", "t"], flags].concat());
    let old: Vec<_> = partition(&[])[0]["replicas"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let free = (1..=4).find(|broker| !old.contains(broker)).unwrap();
    ends_with(dir, 0, &["dev", "kill", &format!("broker-{free}")]);
    eventually("it is fenced", || json(dir, &["cluster", "status"])["problems"] != Value::Array(vec![]));

    let target = format!("{},{},{free}", old[0], old[1]);
    ends_with(dir, 0, &["partition", "move", "t", "0", "--to", &target, "--wait=false"]);
    let moving = partition(&["--moving"]);
    assert_eq!((&moving[0]["adding"][0], &moving[0]["removing"][0]), (&free.into(), &old[2].into()), "{moving}");
    assert_eq!(json(dir, &["cluster", "status"])["moving_partition_count"], 1);

    // Interrupted, the command leaves the move going, and says so.
    let mut waiting = holdfast(dir, &["partition", "move", "t", "0", "--to", &target]).spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.by_ref().any(|line| line.starts_with("moving 1 partition")));
    rustix::process::kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    let err: Vec<_> = told.collect();
    let status = waiting.wait().unwrap();
    assert!(status.code() == Some(130) && err.join("").contains("partition ls --moving"), "{status:?} {err:?}");
    assert_ne!(partition(&["--moving"]), Value::Array(vec![]));

    ends_with(dir, 0, &["partition", "cancel", "t", "0"]);
    assert_eq!(partition(&["--moving"]), Value::Array(vec![]));
    let mut back: Vec<_> =
        partition(&[])[0]["replicas"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    back.sort_unstable();
    let mut old = old;
    old.sort_unstable();
    assert_eq!(back, old);

    // A target that makes no sense is refused by name.
    let (_, err) = ends_with(dir, 1, &["partition", "move", "t", "0", "--to", "1,1,2"]);
    assert!(err.contains("twice"), "{err}");
    ends_with(dir, 1, &["partition", "move", "t", "7", "--to", "1,2,3"]);
    ends_with(dir, 1, &["broker", "drain", "77", "--yes"]);
}
