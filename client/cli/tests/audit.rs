//! `holdfast audit` and `holdfast audit verify` against a real cluster.

mod support;

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal};

use support::{Cluster, ends_with, holdfast};

/// The number behind `name=` in the account's line.
#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let field = line.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    field.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}= in {line:?}"))
}

#[test]
fn what_audits_wrote_is_found_again_by_a_fresh_process() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();

    let load = ["audit", "-t", "a", "--create", "--partitions", "3", "-r", "3", "--rate", "500", "--duration", "1s"];
    let (first, _) = ends_with(dir, 0, &load);
    let acked = number(&first, "acked");
    assert!(acked > 100, "{first}");
    for (name, expected) in [("read", acked), ("live_read", acked), ("lost", 0), ("duplicated", 0), ("refused", 0)] {
        assert_eq!(number(&first, name), expected, "{name} in {first}");
    }

    // Without a duration it goes on until it is told to stop, and a topic may hold the records of other runs.
    let mut second = holdfast(dir, &["audit", "-t", "a", "--rate", "500"]).spawn().unwrap();
    let mut told = BufReader::new(second.stderr.take().unwrap()).lines();
    let flows = told.by_ref().any(|line| number(&line.unwrap(), "acked") > 100);
    assert!(flows, "it ended without any acknowledgement");
    rustix::process::kill_process(Pid::from_child(&second), Signal::TERM).unwrap();
    let rest: Vec<_> = told.map(Result::unwrap).collect();
    let output = second.wait_with_output().unwrap();
    let second = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{second}\n{}", rest.join("\n"));
    let all = acked + number(&second, "acked");

    let (verified, _) = ends_with(dir, 0, &["audit", "verify", "-t", "a", "--expect", &all.to_string()]);
    assert_eq!((number(&verified, "read"), number(&verified, "keys")), (all, 2 * 2 * 3), "{verified}");
    ends_with(dir, 3, &["audit", "verify", "-t", "a", "--expect", &(all + 1).to_string()]);
    ends_with(dir, 0, &["topic", "create", "empty", "--partitions", "1"]);
    ends_with(dir, 3, &["audit", "verify", "-t", "empty"]);
}
