//! `-o json` against a real cluster: every command that takes it prints JSON on standard output, and nothing else.

mod support;

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use holdfast_cli::cli::Cli;

use support::{Cluster, ends_with};

/// A run of each command; without the name of the program and `-o json`.
const RUNS: &[&[&str]] = &[
    &["topic", "create", "orders", "--partitions", "2"],
    &["topic", "create", "orders", "--if-not-exists"],
    &["topic", "create", "later", "--dry-run"],
    &["topic", "alter", "orders", "-c", "retention.ms=86400000"],
    &["topic", "alter", "orders", "--partitions", "3", "--dry-run"],
    &["topic", "ls"],
    &["topic", "describe", "orders"],
    &["produce", "orders"],
    &["consume", "orders"],
    &["partition", "ls"],
    &["partition", "rebalance", "--yes"],
    &["partition", "rebalance", "--dry-run"],
    &["partition", "move", "orders", "0", "--to", "1"],
    &["partition", "cancel", "--yes"],
    &["broker", "ls"],
    &["broker", "undrain", "1"],
    &["quorum", "ls"],
    &["cluster", "status"],
    &["cluster", "recoveries"],
    &["cluster", "finalize-version", "3"],
    &["cluster", "finalize-version", "3", "--dry-run"],
    &["dev", "status"],
    &["audit", "-t", "load", "--create", "--duration", "1s"],
    &["audit", "verify", "-t", "load"],
    &["bench", "produce", "-n", "100"],
    &["bench", "latency", "--duration", "1s", "--rate", "50"],
    &["topic", "delete", "orders", "--yes"],
    &["dev", "suspend", "broker-1"],
    &["dev", "resume", "broker-1"],
    &["dev", "logs", "broker-1"],
    &["dev", "stop", "broker-1"],
    &["dev", "start", "broker-1"],
    &["dev", "restart", "broker-1"],
    &["dev", "add"],
    &["broker", "drain", "1", "--dry-run"],
    &["dev", "kill", "broker-1"],
    &["dev", "down"],
];

/// Commands that are run elsewhere, or that need what this cluster has not: a node to lose, input, minutes.
const LEFT_OUT: &[&str] = &[
    "dev up",
    "broker remove",
    "broker disk-lost",
    "quorum remove",
    "partition recover",
    "controller recover",
    "bench consume",
    "bench failover",
    "demo",
];

#[test]
fn every_command_with_an_output_prints_json_alone() {
    let covered: BTreeSet<String> = paths().into_iter().filter(|path| is_covered(path)).collect();
    assert_eq!(covered, paths(), "each command that takes --output is run here, or left out with its reason");
    let Some((cluster, up)) = Cluster::up(&["-n", "1", "-o", "json"]) else { return };
    let dir = &cluster.dir();
    is_json(&["dev", "up"], &up);
    for run in RUNS {
        let out = ends_with(dir, 0, &[run, &["-o", "json"][..]].concat()).0;
        if run[0] == "consume" {
            out.lines().for_each(|line| is_json(run, line));
        } else {
            is_json(run, &out);
        }
    }
}

#[track_caller]
fn is_json(run: &[&str], out: &str) {
    let parsed = serde_json::from_str::<serde_json::Value>(out);
    assert!(parsed.is_ok(), "holdfast {} -o json: {parsed:?}\n{out}", run.join(" "));
}

fn is_covered(path: &str) -> bool {
    LEFT_OUT.contains(&path) || RUNS.iter().any(|run| run.join(" ").starts_with(path))
}

/// The commands that show `--output`, as `topic ls`.
fn paths() -> BTreeSet<String> {
    fn walk(path: &str, command: &Command, into: &mut BTreeSet<String>) {
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            let path = format!("{path} {}", child.get_name()).trim().to_owned();
            let takes_output = child.get_arguments().any(|arg| arg.get_long() == Some("output") && !arg.is_hide_set());
            if takes_output && !child.is_subcommand_required_set() {
                into.insert(path.clone());
            }
            walk(&path, child, into);
        }
    }
    let mut root = Cli::command();
    root.build();
    let mut all = BTreeSet::new();
    walk("", &root, &mut all);
    assert!(all.len() > 15, "the whole tree is walked: {all:?}");
    all
}
