//! A broker's machine that will not come back, on real programs: partitions wait for what its disk holds until an operator
//! gives it up. It comes back all the same, and copies again.

#[path = "support/orders.rs"]
mod orders;
mod support;

use std::{net::TcpListener, path::Path};

use holdfast_eventually::eventually;

use orders::{ROUND, json, one_line, partitions, produce, with_input};
use support::{Cluster, ends_with};

#[test]
fn partitions_that_wait_for_a_lost_disk_go_on_once_an_operator_gives_it_up() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    let [lagging, whole, lost] = ["broker-1", "broker-2", "broker-3"];
    ends_with(dir, 0, &["topic", "create", "orders", "--partitions", "2", "-r", "3"]);
    produce(dir);
    ends_with(dir, 0, &["dev", "kill", lagging]);
    eventually("one fell out", || {
        partitions(dir).iter().all(|partition| partition["isr"].as_array().is_some_and(|isr| isr.len() == 2))
    });
    produce(dir);
    let (_, why) = ends_with(dir, 1, &["broker", "disk-lost", "3", "--yes"]);
    assert!(why.contains("broker 3 is alive") && why.contains("nothing was changed"), "{why}");

    ends_with(dir, 0, &["dev", "kill", whole, lost]);
    ends_with(dir, 0, &["dev", "start", whole, lagging]);
    let status = eventually("both partitions wait for broker 3", || {
        let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
        (text.contains("2 partitions: offline: no leader")
            && one_line(&text).contains("start broker 3: it was in sync"))
        .then_some(text)
    });
    assert!(one_line(&status).contains("if its disk is gone for good: holdfast broker disk-lost 3"), "{status}");
    only_looks(dir);
    while_a_process_is_there(dir, lost);

    let (done, _) = ends_with(dir, 0, &["broker", "disk-lost", "3", "--yes"]);
    assert!(one_line(&done).contains("the disk of broker 3 is given up; 2 partitions got a leader by it"), "{done}");
    println!("{done}");
    assert!(partitions(dir).iter().all(|partition| partition["leader"] == 2), "who is whole leads");
    let again = json(dir, &["broker", "disk-lost", "3", "--yes", "-o", "json"]);
    assert_eq!([&again["replicas"], &again["led"]], [0, 0], "again is the same as once: {again}");

    ends_with(dir, 0, &["dev", "start", lost]);
    let status = eventually("all are in sync again", || {
        let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
        text.ends_with("\ncluster: healthy\n").then_some(text)
    });
    assert!(one_line(&status).contains("1 disk of a broker; see holdfast cluster recoveries"), "it is kept: {status}");
    let (past, _) = ends_with(dir, 0, &["cluster", "recoveries"]);
    assert!(past.starts_with("the disk of broker 3 was given up on 2"), "{past}");
    let kept = json(dir, &["cluster", "status", "-o", "json"])["lost_disks"].clone();
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    let (read, _) = ends_with(dir, 0, &["consume", "orders", "-e"]);
    assert_eq!(read.lines().count() as u64, 2 * 2 * ROUND, "nothing was lost: broker 2 had everything");
}

/// It is back and recovers its logs, or hangs: it has no session, and what it alone holds is not given up by mistake.
#[track_caller]
fn while_a_process_is_there(dir: &Path, lost: &str) {
    let nodes = json(dir, &["dev", "status", "-o", "json"])["nodes"].clone();
    let node = nodes.as_array().unwrap().iter().find(|node| node["name"] == lost).unwrap().clone();
    let address = node["address"].as_str().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    let (plan, _) = ends_with(dir, 0, &["broker", "disk-lost", "3", "--dry-run"]);
    assert!(one_line(&plan).contains(&format!("something listens at {address}")), "{plan}");
    let (_, why) = ends_with(dir, 1, &["broker", "disk-lost", "3", "--yes"]);
    assert!(one_line(&why).contains("nothing was changed: something listens at"), "{why}");
    assert!(one_line(&why).contains("--accept-loss"), "{why}");
    assert!(partitions(dir).iter().all(|partition| partition["leader"].is_null()), "they wait for it still");
    drop(listener);
}

/// Who only looks, or does not say yes, changes nothing, and is told what it comes to.
#[track_caller]
fn only_looks(dir: &Path) {
    let (plan, _) = ends_with(dir, 0, &["broker", "disk-lost", "3", "--dry-run"]);
    println!("{plan}");
    let text = one_line(&plan);
    assert!(text.starts_with("broker 3 has no session. 2 replicas of it would not count any more"), "{plan}");
    assert!(text.contains("2 partitions would get a leader by it"), "{plan}");
    let plan = json(dir, &["broker", "disk-lost", "3", "--dry-run", "-o", "json"]);
    assert_eq!([&plan["replicas"], &plan["eligible"], &plan["led"]], [2, 2, 2], "{plan}");
    // An answer that comes from a pipe is none.
    let said = with_input(dir, &["broker", "disk-lost", "3"], "y\n");
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.code() == Some(2) && why.contains("add --yes"), "{why}");
    let (_, why) = ends_with(dir, 1, &["broker", "disk-lost", "9", "--yes"]);
    assert!(why.contains("unknown broker '9'"), "{why}");
    assert!(partitions(dir).iter().all(|partition| partition["leader"].is_null()), "none of these changed anything");
}
