//! `holdfast audit verify` beside retention: what that removed is told and is no loss; a partition that came back empty is one.

mod support;

use std::{fs, path::Path};

use serde_json::Value;

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, run};

/// The number behind `name=` in the account's line.
#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let field = line.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    field.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}= in {line:?}"))
}

#[test]
fn what_retention_removed_is_no_loss_and_an_emptied_partition_is_one() {
    let Some((cluster, _)) = Cluster::up(&["-n", "1", "--broker-set", "retention_check_interval_ms=100"]) else {
        return;
    };
    let dir = &cluster.dir();
    let load = ["audit", "-t", "a", "--create", "--partitions", "2", "-r", "1", "--rate", "1000", "--duration", "2s"];
    let keeps = ["-c", "segment.bytes=16KiB", "-c", "retention.ms=-1"];
    let (account, _) = ends_with(dir, 0, &[&load[..], &keeps].concat());
    let acked = number(&account, "acked");
    let verify = ["audit", "verify", "-t", "a"];
    let (line, _) = ends_with(dir, 0, &verify);
    assert_eq!((number(&line, "read"), number(&line, "expired")), (acked, 0), "{line}");

    ends_with(dir, 0, &["topic", "alter", "a", "-c", "retention.bytes=64KiB"]);
    eventually("retention removed the beginning of both", || {
        partitions(dir).iter().all(|partition| partition["log_start_offset"].as_u64() > Some(0))
    });
    let (line, said) = ends_with(dir, 0, &[&verify[..], &["--expect", &acked.to_string()]].concat());
    let expired = number(&line, "expired");
    assert!(expired > 0 && number(&line, "lost") == 0, "{line}");
    assert_eq!(number(&line, "read") + expired, acked, "each is there or expired: {line}");
    assert!(said.contains("expired by retention (retention.bytes=65536): not compared"), "{said}");

    // Nothing tells of settings that were.
    ends_with(dir, 0, &["topic", "alter", "a", "-c", "retention.bytes=-1"]);
    let (_, said) = ends_with(dir, 3, &verify);
    assert!(said.contains("--allow-expired"), "{said}");
    // Nor is everything expired as soon as any retention is on: these are minutes old.
    ends_with(dir, 0, &["topic", "alter", "a", "-c", "retention.ms=1h"]);
    let (line, said) = ends_with(dir, 3, &verify);
    assert!(number(&line, "lost") > 0 && number(&line, "expired") == 0, "{line}");
    assert!(said.contains("by retention.ms=3600000 only what is older goes"), "{said}");
    let verify = [&verify[..], &["--allow-expired"]].concat();
    let (line, _) = ends_with(dir, 0, &verify);
    assert!(number(&line, "read") + number(&line, "expired") == acked && number(&line, "lost") == 0, "{line}");

    let short = ["audit", "-t", "short", "--create", "--partitions", "1", "--duration", "2s", "-c", "retention.ms=1s"];
    let (_, said) = ends_with(dir, 2, &short);
    assert!(said.contains("short keeps less than this audit writes (retention.ms=1000; it needs 62 s"), "{said}");
    let (_, said) = ends_with(dir, 1, &["topic", "describe", "short"]);
    assert!(said.contains("unknown topic 'short'"), "it was not made: {said}");

    empty(dir, 1);
    eventually("it begins at 0 again", || partitions(dir)[1]["high_watermark"] == 0);
    // An operator gave it up, and how much that was nobody knows: it is lost by a decision.
    let (line, said) = ends_with(dir, 3, &verify);
    assert!(number(&line, "given_up") > 0 && number(&line, "lost") == 0, "{line}");
    assert!(said.contains("a-1 was recovered from broker 1") && said.contains("given up: "), "{said}");
    assert!(said.contains("error: operators gave up"), "{said}");
}

/// Removes the log of a partition from the only disk that holds it; an operator lets it begin again.
#[track_caller]
fn empty(dir: &Path, partition: u32) {
    let describe = describe(dir);
    let name = format!("{}-{partition}", describe["topic_id"].as_str().unwrap());
    ends_with(dir, 0, &["dev", "kill", "broker-1"]);
    fs::remove_dir_all(dir.join("data/broker-1/partitions").join(name)).unwrap();
    ends_with(dir, 0, &["dev", "start", "broker-1"]);
    let index = partition.to_string();
    let recover = ["partition", "recover", "a", "-p", &index, "--broker", "1", "--accept-loss", "--yes"];
    eventually("it is known to be gone", || run(dir, &recover).status.success());
}

fn describe(dir: &Path) -> Value {
    let (out, _) = ends_with(dir, 0, &["topic", "describe", "a", "-o", "json"]);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn partitions(dir: &Path) -> Vec<Value> {
    describe(dir)["partitions"].as_array().unwrap().clone()
}
