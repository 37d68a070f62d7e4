//! `holdfast cluster status` and `holdfast dev status` on a narrow terminal, with a broker away and with one that came back.

mod support;

use std::{collections::BTreeSet, path::Path};

use holdfast_eventually::eventually;

use support::{Cluster, ends_with};

/// Width of a narrow terminal, characters.
const WIDTH: usize = 80;

/// What the command prints, which fits.
#[track_caller]
fn fits(dir: &Path, arguments: &[&str]) -> String {
    let (out, _) = ends_with(dir, 0, arguments);
    // The path of a log is as long as the folder's.
    let long =
        |line: &&str| line.chars().count() > WIDTH && !line.starts_with("logs: ") && !line.starts_with("export ");
    let long: Vec<_> = out.lines().filter(long).collect();
    assert!(long.is_empty(), "holdfast {}: {long:#?}", arguments.join(" "));
    out
}

#[test]
fn a_cluster_is_told_on_a_narrow_terminal_with_its_verdict_last() {
    // Leaders come back when the test does not look any more.
    let flags = ["-n", "3", "--controller-set", "leader_rebalance_interval_ms=3600000"];
    let Some((cluster, _)) = Cluster::up(&flags) else { return };
    let dir = &cluster.dir();
    ends_with(dir, 0, &["topic", "create", "wide", "--partitions", "40", "-r", "3"]);
    let status = || fits(dir, &["cluster", "status"]);
    let verdict = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    eventually("it is well", || verdict(&status()) == "cluster: healthy");
    assert!(!status().contains("leads nothing yet"), "{}", status());
    nodes_have_one_name(dir);

    ends_with(dir, 0, &["dev", "kill", "broker-2"]);
    eventually("the broker is missed", || status().contains("partitions: 2 of 3 in sync (missing: 2)"));
    eventually("leaders are elected", || verdict(&status()).starts_with("cluster: 40 partitions are under-replicated"));
    let text = status();
    assert_eq!(text.matches("start broker 2").count(), 1, "{text}");
    assert!(text.lines().count() <= 24, "it is on one screen: {text}");

    ends_with(dir, 0, &["dev", "start", "broker-2"]);
    eventually("it is in sync again", || verdict(&status()) == "cluster: healthy");
    let text = status();
    assert!(text.contains("broker 2 leads nothing yet:") && text.contains("come back to it by themselves"), "{text}");
    let json = ends_with(dir, 0, &["cluster", "status", "-o", "json"]).0;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut notices = json["notices"].as_array().unwrap().iter().filter_map(|notice| notice.as_str());
    assert!(notices.any(|notice| notice.starts_with("broker 2 leads nothing yet")), "{json}");
}

fn nodes_have_one_name(dir: &Path) {
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.lines().filter_map(|line| line.split_whitespace().next());
        words.filter(|word| word.starts_with("controller-")).map(str::to_owned).collect()
    };
    let (here, there) = (names(&fits(dir, &["dev", "status"])), names(&fits(dir, &["cluster", "status"])));
    assert_eq!((here.len(), &here), (3, &there));
}
