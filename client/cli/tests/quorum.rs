//! A controller that is lost is taken out of the quorum by the command line.

mod support;

use std::path::Path;

use serde_json::Value;

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, run};

/// The controllers, as `quorum ls` shows them.
#[track_caller]
fn members(dir: &Path) -> Vec<Value> {
    let (out, _) = ends_with(dir, 0, &["quorum", "ls", "-o", "json"]);
    let parsed: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    parsed.as_array().unwrap().clone()
}

/// Name of the controller with this address, as `controller-2`.
fn name_of(dir: &Path, address: &str) -> String {
    let (out, _) = ends_with(dir, 0, &["dev", "status"]);
    let line = out.lines().find(|line| line.contains(address)).unwrap_or_else(|| panic!("no {address}: {out}"));
    line.split_whitespace().find(|word| word.starts_with("controller-")).unwrap().to_owned()
}

#[test]
fn a_lost_controller_is_removed_and_a_living_one_is_not() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    let all = eventually("three that are heard", || {
        let all = members(dir);
        all.iter().all(|member| member["alive"] == true && member["in_peers"] == true).then_some(all)
    });
    assert_eq!(all.iter().filter(|member| member["active"] == true).count(), 1, "{all:?}");
    let (text, _) = ends_with(dir, 0, &["quorum", "ls"]);
    assert!(text.starts_with("quorum: 3 voters, 3 alive, majority 2: 1 more may fail\n"), "{text}");

    let lost = all.iter().find(|member| member["active"] == false).unwrap();
    let (id, name) = (lost["node_id"].to_string(), name_of(dir, lost["address"].as_str().unwrap()));
    let (_, why) = ends_with(dir, 1, &["quorum", "remove", &id, "--yes"]);
    assert!(why.contains("is alive and in 'peers'"), "{why}");
    let (_, why) = ends_with(dir, 1, &["quorum", "remove", "7", "--yes"]);
    assert!(why.contains("known: "), "{why}");

    ends_with(dir, 0, &["dev", "kill", &name]);
    eventually("the others to miss it", || run(dir, &["quorum", "remove", &id, "--dry-run"]).status.success());
    assert_eq!(members(dir).len(), 3, "a plan changes nothing");
    // A script has to say yes.
    let (_, why) = ends_with(dir, 2, &["quorum", "remove", &id]);
    assert!(why.contains("--yes"), "{why}");
    let (out, _) = ends_with(dir, 0, &["quorum", "remove", &id, "--yes", "-o", "json"]);
    let done: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert_eq!([&done["voters_before"], &done["voters_after"], &done["alive_after"]], [3, 2, 2], "{done}");
    assert!(members(dir).iter().all(|member| member["node_id"] != lost["node_id"]));
    // Told so, it ends with a code of its own.
    run(dir, &["dev", "start", &name]);
    eventually("its last words", || {
        let (log, _) = ends_with(dir, 0, &["dev", "logs", &name]);
        log.contains("does not belong to the quorum any more") && log.contains("code=16")
    });
}
