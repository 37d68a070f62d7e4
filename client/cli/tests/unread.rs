//! A replica that its broker cannot read while another leads, on real programs: each place where people look names it, the
//! reason, and what happens next.

#[path = "support/orders.rs"]
mod orders;
mod support;

use std::{fs, path::Path};

use holdfast_eventually::eventually;

use orders::{json, one_line, partitions, produce};
use support::{Cluster, ends_with};

#[test]
fn a_replica_that_cannot_be_read_is_named_though_another_leads() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    ends_with(dir, 0, &["topic", "create", "orders", "--partitions", "2", "-r", "3"]);
    produce(dir);
    ends_with(dir, 0, &["dev", "kill", "broker-2"]);
    let folder = dir.join("data/broker-2/partitions").join(format!("{}-0", topic_id(dir)));
    // As a newer program writes it: no right and no retry opens it.
    let file = folder.join("partition.metadata");
    let kept = fs::read_to_string(&file).unwrap();
    let newer = kept.replace("version: 1", "version: 9");
    assert_ne!(kept, newer);
    fs::write(&file, newer).unwrap();
    ends_with(dir, 0, &["dev", "start", "broker-2"]);

    let status = eventually("it is said", || {
        let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
        text.contains("1 replica cannot be read").then_some(text)
    });
    println!("{status}");
    // The path of a file is one word.
    let fits = |line: &str| line.chars().count() <= 80 || line.split_whitespace().count() == 1;
    assert!(status.lines().all(fits), "{status}");
    let words = one_line(&status);
    for part in [
        "broker 2 cannot read 1 replica, orders-0: ",
        "partition.metadata",
        "version 9",
        "mend that, and it reads them by itself",
        "orders-0 broker 2 cannot read its replica, its log says why",
        "-> mend what its broker's log names: it is read then, by itself, and copies what it lacks",
    ] {
        assert!(words.contains(part), "{part}: {status}");
    }
    for look in [&["partition", "ls"][..], &["topic", "describe", "orders"]] {
        let (text, _) = ends_with(dir, 0, look);
        assert!(one_line(&text).contains("orders-0: broker 2 cannot read its replica"), "{look:?}: {text}");
        assert!(!text.contains("copied again"), "{look:?}: {text}");
    }
    let brokers = json(dir, &["cluster", "status", "-o", "json"])["brokers"].clone();
    assert_eq!(
        [&brokers[1]["unopened"]["count"], &brokers[1]["unopened"]["first"][0]["partition"]],
        [1, 0],
        "{brokers}"
    );
    assert!(partitions(dir)[0]["trust"]["claims"][0]["unread"] == true, "{:?}", partitions(dir)[0]);

    fs::write(&file, kept).unwrap();
    eventually("it is read, and copies what it lacks", || {
        ends_with(dir, 0, &["cluster", "status"]).0.ends_with("\ncluster: healthy\n")
    });
}

#[track_caller]
fn topic_id(dir: &Path) -> String {
    let topics = json(dir, &["topic", "ls", "-o", "json"]);
    let topic = topics.as_array().unwrap().iter().find(|topic| topic["name"] == "orders").unwrap();
    topic["topic_id"].as_str().unwrap().to_owned()
}
