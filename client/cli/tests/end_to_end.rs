//! The commands against a real cluster, as a newcomer and a script use them. The first steps of `README.md` and of
//! `holdfast --help` are run by a shell as they stand; only the ports are others, for those may be taken.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use support::{Cluster, end, ends_with, holdfast, programs_are_there};

const README: &str = include_str!("../../../README.md");

/// Runs a command that must succeed; gives its standard output.
#[track_caller]
fn ok(dir: &Path, arguments: &[&str]) -> String {
    ends_with(dir, 0, arguments).0
}

/// As [`ok`], with standard input.
fn ok_with(dir: &Path, arguments: &[&str], input: &str) {
    let mut child = holdfast(dir, arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "holdfast {}: {:?}\n{out}\n{err}", arguments.join(" "), output.status);
}

#[test]
fn a_newcomers_first_steps() {
    let Some((cluster, up)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    assert!(up.contains("export HOLDFAST_BOOTSTRAP=127.0.0.1:"), "{up}");
    ok(dir, &["topic", "create", "orders", "--partitions", "6"]);
    let (_, again) = ends_with(dir, 1, &["topic", "create", "orders"]);
    assert!(again.contains("--if-not-exists"));

    ok_with(dir, &["produce", "orders", "-K:"], "alice:2 apples\nbob:1 pear\n");
    let mut lines: Vec<_> =
        ok(dir, &["consume", "orders", "-e", "--format", "%k %s\\n"]).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["alice 2 apples", "bob 1 pear"]);

    // A broker dies; what was written is there, and writing goes on.
    ok(dir, &["dev", "kill", "broker-1"]);
    ok_with(dir, &["produce", "orders", "-K:"], "carol:3 plums\n");
    ok(dir, &["dev", "restart", "broker-1"]);
    let json = ok(dir, &["consume", "orders", "-e", "-o", "json"]);
    let records: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 3, "{json}");

    let topics: serde_json::Value = serde_json::from_str(&ok(dir, &["topic", "ls", "-o", "json"])).unwrap();
    assert_eq!(topics[0]["name"], "orders");
    let status: serde_json::Value = serde_json::from_str(&ok(dir, &["cluster", "status", "-o", "json"])).unwrap();
    assert_eq!(status["brokers"].as_array().unwrap().len(), 3);
    let described = ok(dir, &["topic", "describe", "orders"]);
    assert!(described.contains("min.insync.replicas"), "{described}");

    // Scripts are refused what a person would be asked.
    ends_with(dir, 2, &["topic", "delete", "orders"]);
    ok(dir, &["topic", "delete", "orders", "--yes"]);
    end(dir);
    assert!(!dir.exists(), "nothing is left");
}

#[test]
fn the_demo_ends_with_its_verdict_and_leaves_nothing() {
    if !programs_are_there() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let input = root.path().join("input");
    std::fs::create_dir(&input).unwrap();
    for file in 0..40 {
        let lines: Vec<_> = (0..2_000).map(|line| format!("line {line} of file {file}")).collect();
        std::fs::write(input.join(format!("{file}.txt")), lines.join("\n")).unwrap();
    }
    let dir = root.path().join("none");
    let out = ok(&dir, &["demo", "--kills", "1", "--controller-kills", "1", "--input", input.to_str().unwrap()]);
    let last = out.lines().last().unwrap();
    let expected = "acked=80000 read=80000 lost=0 duplicated=0 reordered=0 failovers=2 longest_pause_ms=";
    assert!(last.starts_with(expected), "{last}");
    let left: Vec<_> = root.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["input"]);
}

#[test]
fn an_interrupted_demo_leaves_no_process_and_no_folder() {
    if !programs_are_there() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let input = root.path().join("input");
    std::fs::write(&input, "a line\n".repeat(100_000)).unwrap();
    let folder = root.path().join("demo");
    let arguments = ["demo", "--input", input.to_str().unwrap(), "--data-dir", folder.to_str().unwrap()];
    let mut child = holdfast(&root.path().join("none"), &arguments).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = said.by_ref().map_while(Result::ok).find(|line| line.starts_with("cluster:"));
    assert!(ready.is_some(), "the cluster came up");
    let pids: Vec<i32> = node_pids(&folder);
    assert_eq!(pids.len(), 6);
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!folder.exists(), "the folder is removed");
    let deadline = Instant::now() + Duration::from_secs(20);
    while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok()) {
        assert!(Instant::now() < deadline, "a node outlives the demo");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The process ids in the folder's state.
fn node_pids(folder: &Path) -> Vec<i32> {
    let state = std::fs::read(folder.join("cluster.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    state["nodes"].as_array().unwrap().iter().filter_map(|node| Some(node["process"]["pid"].as_i64()? as i32)).collect()
}

/// The lines of the block of code below a heading.
fn block(heading: &str) -> Vec<&'static str> {
    let section = README.split_once(heading).expect("the heading is there").1;
    section.split("```").nth(1).expect("a block of code").lines().collect()
}

/// A base port with room for three brokers and three controllers, as `dev up` counts them: below the ports that clusters
/// on free ports take, as those of other tests are.
fn free_base() -> u16 {
    let start = std::process::id() as u16 % 32;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut bases = (0..32).map(|step| 3_000 + (start + step) % 32 * 250);
    let all_free = |base: &u16| [0, 100, 200].iter().all(|step| (1..=3).all(|number| is_free(base + step + number)));
    bases.find(all_free).expect("nine free ports")
}

/// Runs the lines in a shell that stops at the first failure; gives what was printed.
#[track_caller]
fn run_in_a_shell(lines: &[String], dir: &Path) -> String {
    let script = lines.join("\n");
    let bin = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("PATH", path).env("HOLDFAST_DEV_DIR", dir);
    shell.env_remove("HOLDFAST_BOOTSTRAP").stdin(Stdio::null());
    let output = shell.output().expect("bash starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        end(dir);
    }
    assert!(output.status.success(), "{script}\n---\n{out}\n---\n{err}");
    assert!(!dir.exists(), "the last step leaves nothing: {out}");
    out.into_owned()
}

/// The line on other ports.
fn moved(line: &str, base: u16) -> String {
    let line = line.replacen("dev up", &format!("dev up --base-port {base}"), 1);
    (1..=3).fold(line, |line, number| line.replace(&(9_200 + number).to_string(), &(base + number).to_string()))
}

#[test]
fn the_first_steps_run_as_they_stand() {
    if !programs_are_there() {
        return;
    }
    // One after the other, for both take the same ports.
    let folder = tempfile::tempdir().unwrap();
    let (dir, base) = (folder.path().join("cluster"), free_base());
    first_steps_of_the_readme(&dir, base);
    first_steps_of_the_help(&dir, base);
}

fn first_steps_of_the_readme(dir: &Path, base: u16) {
    let steps = block("## First steps").into_iter().filter(|line| !line.starts_with("make "));
    let steps: Vec<_> = steps.map(|line| moved(line, base)).collect();
    let is_bootstrap = |line: &&String| line.starts_with("export HOLDFAST_BOOTSTRAP=");
    let bootstrap = steps.iter().find(is_bootstrap).expect("where clients start");
    let bootstrap = bootstrap.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let out = run_in_a_shell(&steps, dir);
    assert!(out.lines().any(|line| line == bootstrap), "dev up prints `{bootstrap}`: {out}");
    assert!(out.contains("alice 2 apples") && out.contains("\ncluster: "), "{out}");
}

fn first_steps_of_the_help(dir: &Path, base: u16) {
    let help = ok(dir, &["--help"]);
    let steps = help.split_once("First steps:\n").expect("first steps").1.lines().take_while(|line| !line.is_empty());
    // What a step does stands behind it.
    let steps: Vec<_> = steps.map(|line| moved(line.trim().split("   ").next().unwrap_or_default(), base)).collect();
    assert!(steps.len() > 4, "{steps:?}");
    let out = run_in_a_shell(&steps, dir);
    assert!(out.contains("alice 2 apples"), "{out}");
}
