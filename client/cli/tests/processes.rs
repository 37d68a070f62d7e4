//! Clusters of processes with stand-ins for the programs: what `dev` does with processes, without a broker.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use holdfast_eventually::eventually;
use holdfast_local::{
    ClusterSpec, Error, Lifetime, NodeName, ProcessCluster, Programs,
    process::ProcessState::{self, Ended, Running, Suspended},
};

/// Lives until it is told to end.
const SLEEPER: &str = "#!/bin/sh\necho started $*\nexec sleep 600\n";
/// Writes a line and ends at once, as a broken program does.
const DYING: &str = "#!/bin/sh\necho 'the disk is on fire'\nexit 1\n";
/// Does not listen to SIGTERM.
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n";

fn programs(dir: &Path, controller: &str, broker: &str) -> Programs {
    for (name, text) in [("holdfast-controller", controller), ("holdfast-broker", broker)] {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_holdfast"), dir.join("holdfast")).unwrap();
    Programs::find_in(&[dir.to_path_buf()]).unwrap()
}

fn spec(dir: &Path, programs: Programs) -> ClusterSpec {
    ClusterSpec {
        dir: dir.join("cluster"),
        brokers: 2,
        controllers: 1,
        base_port: Some(0),
        broker_settings: Vec::new(),
        controller_settings: Vec::new(),
        programs,
        lifetime: Lifetime::Tied,
    }
}

fn states(cluster: &mut ProcessCluster) -> Vec<ProcessState> {
    cluster.status().into_iter().map(|node| node.state).collect()
}

#[tokio::test]
async fn nodes_are_started_stopped_killed_and_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = ProcessCluster::create(&spec(dir.path(), programs(dir.path(), SLEEPER, SLEEPER))).unwrap();
    assert_eq!(states(&mut cluster), [Ended, Ended, Ended]);
    cluster.start_all().unwrap();
    assert_eq!(states(&mut cluster), [Running, Running, Running]);
    let one = NodeName::broker(1);
    assert!(matches!(cluster.start(one), Err(Error::AlreadyRunning { .. })));

    cluster.suspend(one).unwrap();
    assert_eq!(states(&mut cluster)[1], Suspended);
    cluster.resume(one).unwrap();
    assert_eq!(states(&mut cluster)[1], Running);

    cluster.kill(one).unwrap();
    assert_eq!(states(&mut cluster), [Running, Ended, Running]);
    assert!(matches!(cluster.kill(one), Err(Error::NotRunning { .. })));
    cluster.restart(one, Duration::from_secs(10)).await.unwrap();
    assert_eq!(states(&mut cluster), [Running, Running, Running]);

    // Another handle, as another command has it, sees and ends the same processes.
    let programs = spec(dir.path(), Programs::find_in(&[dir.path().to_path_buf()]).unwrap()).programs;
    let mut other = ProcessCluster::open(&dir.path().join("cluster"), programs).unwrap();
    assert!(matches!(other.start_all(), Ok(())));
    assert!(other.down(Duration::from_secs(10)).await.unwrap().is_empty());
    assert_eq!(states(&mut cluster), [Ended, Ended, Ended]);
    other.wipe().unwrap();
    assert!(!dir.path().join("cluster").exists());
}

#[tokio::test]
async fn a_program_that_dies_at_its_start_is_told_with_the_end_of_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), programs(dir.path(), SLEEPER, DYING));
    let error = ProcessCluster::up(&spec, Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, Error::NodeEnded { .. }), "{error}");
    assert!(error.to_string().contains("the disk is on fire"), "{error}");
    let mut cluster = ProcessCluster::open(&spec.dir, spec.programs.clone()).unwrap();
    assert_eq!(states(&mut cluster), [Ended; 3], "what had started was ended");
}

#[tokio::test]
async fn a_program_that_never_is_ready_is_told_with_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), programs(dir.path(), SLEEPER, SLEEPER));
    let error = ProcessCluster::up(&spec, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn a_running_cluster_is_not_laid_out_again_and_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), programs(dir.path(), SLEEPER, SLEEPER));
    let mut cluster = ProcessCluster::create(&spec).unwrap();
    cluster.start_all().unwrap();
    assert!(matches!(ProcessCluster::create(&spec), Err(Error::AlreadyRuns { .. })));
    let bootstrap = cluster.bootstrap();
    cluster.kill_all();
    let larger = ClusterSpec { brokers: 5, ..spec.clone() };
    assert!(matches!(ProcessCluster::create(&larger), Err(Error::OtherSize { .. })));
    // Controllers know each other by their ports: those stay, whatever is free now.
    for kept in [None, Some(0)] {
        let again = ProcessCluster::create(&ClusterSpec { base_port: kept, ..spec.clone() }).unwrap();
        assert_eq!(again.bootstrap(), bootstrap, "{kept:?}");
    }
    let error = ProcessCluster::create(&ClusterSpec { base_port: Some(9200), ..spec }).unwrap_err();
    assert!(matches!(error, Error::OtherPorts { .. }) && error.to_string().contains(&bootstrap[0]), "{error}");
}

#[tokio::test]
async fn settings_reach_the_programs_as_they_were_given_and_stay_once_they_worked() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(dir.path(), programs(dir.path(), SLEEPER, SLEEPER));
    spec.broker_settings = vec!["rack=0".parse().unwrap()];
    let told = |cluster: &ProcessCluster, node| cluster.tail(node, 1).unwrap();
    let mut cluster = ProcessCluster::create(&spec).unwrap();
    cluster.start_all().unwrap();
    let (broker, controller) = (NodeName::broker(1), NodeName::controller(1));
    eventually("the broker got it", || told(&cluster, broker).ends_with("--set rack=0"));
    eventually("the controller got nothing", || told(&cluster, controller).ends_with("controller-1.toml"));
    let again = |cluster: &mut ProcessCluster| {
        cluster.kill(broker).unwrap();
        cluster.start(broker).unwrap();
        eventually("it runs", || told(cluster, broker).starts_with("started"));
        told(cluster, broker)
    };
    cluster.keep_settings(&spec).unwrap();
    let mut other = ProcessCluster::open(&spec.dir, spec.programs.clone()).unwrap();
    assert!(again(&mut other).ends_with("--set rack=0"));
}

#[tokio::test]
async fn what_does_not_end_is_killed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = ProcessCluster::create(&spec(dir.path(), programs(dir.path(), SLEEPER, STUBBORN))).unwrap();
    cluster.start_all().unwrap();
    for number in [1, 2] {
        let pid = cluster.status()[number].pid.unwrap();
        eventually("the stand-in runs", || ignores_term(pid));
    }
    let killed = cluster.down(Duration::from_millis(200)).await.unwrap();
    assert_eq!(killed, [NodeName::broker(1), NodeName::broker(2)]);
}

/// True once the process ignores SIGTERM (signal 15).
fn ignores_term(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 14) != 0)
}

#[test]
fn tied_processes_end_with_a_parent_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path(), SLEEPER, SLEEPER);
    // `dev up --foreground` waits for readiness that never comes, until it is killed.
    let mut parent = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["dev", "up", "--foreground", "--base-port", "0", "--data-dir"])
        .arg(dir.path().join("cluster"))
        .env("HOLDFAST_BIN_DIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let programs = Programs::find_in(&[dir.path().to_path_buf()]).unwrap();
    let running = || {
        let open = ProcessCluster::open(&dir.path().join("cluster"), programs.clone());
        open.map_or(0, |mut cluster| cluster.status().iter().filter(|node| node.pid.is_some()).count())
    };
    eventually("six nodes run", || running() == 6);
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("no node runs", || running() == 0);
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path(), SLEEPER, SLEEPER);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(arguments).env("HOLDFAST_BIN_DIR", dir.path()).env("HOLDFAST_DEV_DIR", dir.path().join("none"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = run(&["dev", "kill", "server-1"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("broker-1"), "{message}");
    let (code, message) = run(&["dev", "status"]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("holdfast dev up"), "{message}");
    let (code, message) = run(&["dev", "up", "-n", "0"]);
    assert_eq!(code, Some(2), "{message}");
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let run = |to: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.arg("--help").stdout(to).stderr(Stdio::null()).status().unwrap().code()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(run(Stdio::null()), Some(0));
    assert_eq!(run(full.into()), Some(1));
}
