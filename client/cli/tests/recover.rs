//! The last resort of a partition, on real programs: as many disks are lost as must hold a record, and an operator gives up
//! what no replica can prove any more.

#[path = "support/orders.rs"]
mod orders;
mod support;

use std::{fs, path::Path};

use serde_json::Value;

use holdfast_eventually::eventually;

use orders::{ROUND, json, one_line, partitions, produce, with_input};
use support::{Cluster, ends_with};

/// The brokers of the topic's two partitions.
struct Brokers {
    /// Leads partition 0, of which it is known how far it was acknowledged.
    first: u64,
    /// Led partition 1 until it was killed.
    second: u64,
    /// Was away, and is the only one that keeps its disk.
    away: u64,
}

#[test]
fn a_partition_that_nobody_can_prove_goes_on_once_an_operator_gives_up_what_is_lost() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    let brokers = lose_two_disks(dir);
    let away = &brokers.away.to_string();

    // Each place where people look names what is wrong, and the command.
    let status = eventually("nobody leads", || {
        let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
        (text.contains("4 partitions: offline: no leader") && text.contains("no replica can prove")).then_some(text)
    });
    for partition in ["0", "1"] {
        let command = format!("holdfast partition recover orders -p {partition}\n");
        assert!(status.contains(&command), "{status}");
        for look in [&["partition", "ls", "-t", "orders"][..], &["topic", "describe", "orders"]] {
            let (text, _) = ends_with(dir, 0, look);
            let doubt = format!("orders-0, orders-1: broker {} is not believed: its data folder", brokers.first);
            assert!(text.contains(&doubt) && text.contains(&command), "{look:?}: {text}");
        }
    }

    refused(dir, &brokers);
    let yes = ["--broker", away, "--accept-loss", "--yes"];
    let (done, _) = ends_with(dir, 0, &recover("0", &yes));
    assert!(done.contains(&format!("kept for ever: orders-0 was recovered from broker {away}")), "{done}");
    assert!(one_line(&done).contains("given up: offsets 200 to 399 (200 acknowledged records)"), "{done}");
    many(dir, &brokers);

    eventually("it is well again", || ends_with(dir, 0, &["cluster", "status"]).0.ends_with("\ncluster: healthy\n"));
    let (verdict, why) = ends_with(dir, 3, &["audit", "verify", "-t", "ledger"]);
    println!("{verdict}{why}");
    assert!(verdict.contains(" lost=0 given_up="), "{verdict}");
    assert!(why.contains("ledger-0 was recovered from broker") && why.contains("error: operators gave up"), "{why}");
    ends_with(dir, 0, &["audit", "verify", "-t", "ledger", "--allow-given-up"]);
    produce(dir);
    let (read, _) = ends_with(dir, 0, &["consume", "orders", "-e"]);
    assert_eq!(read.lines().count() as u64, 2 * 2 * ROUND, "those before, and those since");
    // An operator who missed the answer asks again, and hears what was done.
    let (again, _) = ends_with(dir, 0, &recover("0", &yes));
    assert!(again.starts_with(&format!("it is led since: orders-0 was recovered from broker {away}")), "{again}");

    // What was given up is kept by the cluster, and not by the process that was asked.
    ends_with(dir, 0, &["dev", "restart", "controller-1", "controller-2", "controller-3"]);
    let kept = eventually("a controller is active", || {
        let status = json(dir, &["cluster", "status", "-o", "json"]);
        status["active_controller"].is_u64().then(|| status["recoveries"].clone())
    });
    assert_eq!(kept.as_array().map(Vec::len), Some(4), "{kept}");
    let other = kept.as_array().unwrap().iter().find(|one| one["topic"] == "orders" && one["partition"] == 1).unwrap();
    assert_eq!([&kept[0]["loss"], &other["loss"]], ["offsets", "unknown"], "{kept}");
    assert_eq!(kept[0]["end_epoch"], kept[0]["high_watermark_epoch"], "by which it is certain: {kept}");
    assert!(kept[0]["end_epoch"].is_u64() && kept[0]["claims"][0]["end"] == ROUND, "{kept}");
    let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
    assert!(one_line(&text).contains("4 recoveries of partitions; see holdfast cluster recoveries"), "{text}");
    let (text, _) = ends_with(dir, 0, &["cluster", "recoveries", "--topic", "orders"]);
    assert!(text.starts_with("orders-1 was recovered") && text.contains("orders-0"), "the newest first: {text}");
    assert!(!text.contains("ledger"), "{text}");
    let (text, _) = ends_with(dir, 0, &["topic", "describe", "orders"]);
    assert!(one_line(&text).contains(&format!("orders-1 was recovered from broker {away}")), "{text}");
}

/// All that is left at once: a table of what it costs, and one answer.
#[track_caller]
fn many(dir: &Path, brokers: &Brokers) {
    let all = ["partition", "recover", "--all"];
    let (plan, why) = ends_with(dir, 1, &all);
    println!("{plan}{why}");
    let row = |name: &str| plan.lines().find(|line| line.starts_with(name)).map(one_line);
    assert!(row("orders-0").is_none(), "it is recovered already: {plan}");
    let ends = format!("orders-1 {} {ROUND}", brokers.away);
    assert!(row("orders-1").is_some_and(|row| row.starts_with(&ends) && row.ends_with("unknown")), "{plan}");
    assert!(row("ledger-0").is_some() && row("ledger-1").is_some(), "{plan}");
    assert!(why.ends_with("holdfast partition recover --all --accept-loss\n"), "{why}");
    let (of_one, _) = ends_with(dir, 1, &["partition", "recover", "--topic", "ledger"]);
    assert!(of_one.contains("ledger-0") && !of_one.contains("orders"), "{of_one}");
    // One that the cluster refuses holds up no other, and is no success.
    let second = &brokers.second.to_string();
    let (refused, why) = ends_with(dir, 1, &[&all[..], &["--broker", second, "--accept-loss", "--yes"]].concat());
    assert!(one_line(&refused).contains("1 partition refused: "), "{refused}");
    assert!(why.contains("error: 3 partitions refused"), "{why}");
    let said = with_input(dir, &[&all[..], &["--accept-loss"]].concat(), "y\n");
    assert_eq!(said.status.code(), Some(2), "an answer that comes from a pipe is none");

    let done = json(dir, &[&all[..], &["--accept-loss", "--yes", "-o", "json"]].concat());
    assert_eq!((done["recoveries"].as_array().map(Vec::len), &done["done"]), (Some(3), &Value::from(true)), "{done}");
    let one = done["recoveries"].as_array().unwrap().iter().find(|one| one["topic"] == "orders").unwrap();
    assert_eq!([&one["broker"], &one["end"]], [brokers.away, ROUND], "{done}");
    assert!(one["given_up_to"].is_null(), "nobody knows how far it was acknowledged: {done}");
    let (none, why) = ends_with(dir, 0, &[&all[..], &["--accept-loss", "--yes"]].concat());
    assert!(none.is_empty() && why.contains("every partition has a leader"), "{none}{why}");
}

/// A broker is away while more is acknowledged by the other two; then these lose their folders, and all three start.
#[track_caller]
fn lose_two_disks(dir: &Path) -> Brokers {
    ends_with(dir, 0, &["topic", "create", "orders", "--partitions", "2", "-r", "3"]);
    produce(dir);
    audit(dir, &["--create", "--partitions", "2", "-r", "3"]);
    let leaders: Vec<_> = partitions(dir).iter().map(|partition| partition["leader"].as_u64().unwrap()).collect();
    let (first, second) = (leaders[0], leaders[1]);
    let away = (1..=3).find(|broker| !leaders.contains(broker)).unwrap();
    let node = |broker: u64| format!("broker-{broker}");
    ends_with(dir, 0, &["dev", "kill", &node(away)]);
    eventually("one fell out", || {
        partitions(dir).iter().all(|partition| partition["isr"].as_array().is_some_and(|isr| isr.len() == 2))
    });
    audit(dir, &[]);
    // At once: who leads partition 1 next has not heard yet how far it was acknowledged.
    produce(dir);
    ends_with(dir, 0, &["dev", "kill", &node(second)]);
    eventually("it is known how far partition 0 was acknowledged", || {
        let partitions = partitions(dir);
        partitions[0]["trust"]["frozen_high_watermark"] == 2 * ROUND && partitions[1]["leader"] == first
    });
    ends_with(dir, 0, &["dev", "kill", &node(first)]);
    for broker in [first, second] {
        let folder = dir.join("data").join(node(broker));
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    }
    ends_with(dir, 0, &["dev", "start", &node(first), &node(second)]);
    // Only then does the controller keep what the third says of its logs.
    eventually("nobody leads", || partitions(dir).iter().all(|partition| partition["leader"].is_null()));
    ends_with(dir, 0, &["dev", "start", &node(away)]);
    Brokers { first, second, away }
}

/// A load that is accounted for.
#[track_caller]
fn audit(dir: &Path, more: &[&str]) {
    ends_with(dir, 0, &[&["audit", "-t", "ledger", "--duration", "1s", "--rate", "200"], more].concat());
}

/// Who only looks, or does not say all that is needed, changes nothing, and is told what it would cost.
#[track_caller]
fn refused(dir: &Path, brokers: &Brokers) {
    let (away, second) = (&brokers.away.to_string(), &brokers.second.to_string());
    let (look, _) = ends_with(dir, 0, &recover("0", &[]));
    assert!(look.contains("Its high watermark stood at 400."), "{look}");
    assert!(look.contains("distrusted (folder)") && look.contains("nothing was changed; to choose:"), "{look}");
    let look = json(dir, &recover("0", &["-o", "json"]));
    assert_eq!(look["candidates"].as_array().map(Vec::len), Some(3), "{look}");

    let (plan, why) = ends_with(dir, 1, &recover("0", &["--broker", away]));
    assert!(one_line(&plan).contains("to be given up: offsets 200 to 399 (200 acknowledged records)"), "{plan}");
    let command = format!("holdfast partition recover orders -p 0 --broker {away} --accept-loss\n");
    assert!(why.contains("nothing was changed") && why.ends_with(&command), "{why}");
    let (plan, _) = ends_with(dir, 1, &recover("1", &["--broker", away]));
    assert!(one_line(&plan).contains("unknown: all that was acknowledged from offset 200 on"), "{plan}");
    let (_, why) = ends_with(dir, 1, &recover("0", &["--broker", second]));
    let better = format!("the replica of broker {away} reaches farther, to offset 200: choose that");
    assert!(one_line(&why).contains(&better), "an empty folder says nothing: {why}");

    let (_, why) = ends_with(dir, 2, &recover("0", &["--accept-loss", "--yes"]));
    assert!(why.contains("--broker"), "{why}");
    let (_, why) = ends_with(dir, 1, &recover("0", &["--broker", "9", "--accept-loss", "--yes"]));
    assert!(why.contains("broker 9"), "{why}");
    // An answer that comes from a pipe is none.
    let said = with_input(dir, &recover("0", &["--broker", away, "--accept-loss"]), "y\n");
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.code() == Some(2) && why.contains("add --yes"), "{why}");
    assert!(partitions(dir).iter().all(|partition| partition["leader"].is_null()), "none of these changed anything");
}

/// `partition recover` of this partition.
fn recover<'a>(partition: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["partition", "recover", "orders", "-p", partition], more].concat()
}
