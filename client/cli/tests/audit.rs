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

/// Records as an audit writes them, by hand: what they state of a partition must be found there.
#[test]
fn a_partition_that_lacks_what_others_state_of_it_is_a_loss_with_its_offsets() {
    let Some((cluster, _)) = Cluster::up(&["-n", "1"]) else { return };
    let dir = &cluster.dir();
    let write = |topic: &str, partition: &str, headers: &[&str]| {
        let headers: Vec<_> = headers.iter().flat_map(|header| ["-H", header]).collect();
        let key = format!("audit/run/0/{partition}");
        let line = [&["produce", topic, "-p", partition, "-k", &key, "-D", "", "/dev/null"], &headers[..]].concat();
        ends_with(dir, 0, &line);
    };

    ends_with(dir, 0, &["topic", "create", "emptied", "--partitions", "3"]);
    write("emptied", "0", &["n=0", "there=1:5@431"]);
    write("emptied", "2", &["n=0"]);
    let verify = ["audit", "verify", "-t", "emptied", "--allow-unfinished"];
    let (line, said) = ends_with(dir, 3, &verify);
    assert_eq!((number(&line, "lost"), number(&line, "keys")), (5, 2), "{line}");
    assert!(said.contains("partition 1 holds nothing"), "{said}");
    assert!(said.contains("emptied-1 lost offsets 0 to 431, which were acknowledged"), "{said}");
    let (json, _) = ends_with(dir, 3, &[&verify[..], &["-o", "json"]].concat());
    assert!(json.contains("\"partition\": 1") && json.contains("\"to\": 431"), "{json}");

    // Nothing speaks for partition 1: that is told, and is no loss.
    ends_with(dir, 0, &["topic", "create", "old", "--partitions", "2"]);
    write("old", "0", &["n=0", "last=", "keys=0"]);
    let (_, said) = ends_with(dir, 0, &["audit", "verify", "-t", "old"]);
    assert!(said.contains("nothing says what must be in partition 1 of old"), "{said}");
}
