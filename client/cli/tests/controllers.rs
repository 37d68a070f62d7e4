//! `holdfast controller recover` on real programs: a majority of the controllers is lost, and the steps that it tells lead to
//! a cluster that serves again.

mod support;

use std::{fs, io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

use holdfast_eventually::eventually;

use support::{Cluster, ends_with, holdfast, run};

const RECOVER: [&str; 2] = ["controller", "recover"];
/// The controller that is left.
const LEFT: &str = "controller-1";

#[test]
fn the_steps_of_the_last_resort_lead_to_a_cluster_that_serves() {
    let Some((cluster, _)) = Cluster::up(&["-n", "3"]) else { return };
    let dir = &cluster.dir();
    ends_with(dir, 0, &["topic", "create", "orders", "--partitions", "2", "-r", "3"]);
    produce(dir, "a\nb\nc\n");
    for more in [&[][..], &["-o", "json"]] {
        let (_, why) = ends_with(dir, 1, &[&RECOVER[..], more].concat());
        assert!(why.contains("3 of 3 answer") && why.contains("nothing was changed"), "{why}");
    }

    let folder = |node: &str| dir.join("data").join(node);
    ends_with(dir, 0, &["dev", "kill", "controller-2", "controller-3"]);
    for lost in ["controller-2", "controller-3"] {
        fs::remove_dir_all(folder(lost)).unwrap();
        fs::create_dir(folder(lost)).unwrap();
    }
    fresh_controllers_make_no_majority(dir);
    for lost in ["controller-2", "controller-3"] {
        fs::remove_dir_all(folder(lost)).unwrap();
        fs::create_dir(folder(lost)).unwrap();
    }
    let text = eventually("no controller is active", || {
        let said = run(dir, &RECOVER);
        said.status.success().then(|| String::from_utf8(said.stdout).unwrap())
    });
    assert!(text.starts_with("controllers: 1 of 3 answer, a majority is 2; none is active\n"), "{text}");
    let left = folder(LEFT).display().to_string();
    // Which folder goes on is seen only once all were looked at.
    let look = format!("     holdfast-controller recover --data-dir {left}\n");
    let accept = "holdfast-controller recover --data-dir DATA_DIR --accept-loss --brokers IDS";
    assert!(text.contains("     holdfast dev start controller-2 controller-3\n"), "{text}");
    assert!(text.contains(&look) && text.contains(&format!("     {accept}\n")), "{text}");
    assert!(text.ends_with("Nothing was changed.\n"), "{text}");
    let json = json(dir, &[&RECOVER[..], &["-o", "json"]].concat());
    assert_eq!(json["quorum"], false, "{json}");
    assert_eq!(json["steps"][2]["commands"][0]["command"], accept, "{json}");

    go_on(dir, &left);
    serves_once_all_brokers_were_heard(dir);
}

/// Two that begin with empty folders answer, and hold nothing of what the cluster knows: the way out is told, and the state
/// of the one that is left. Ends them again.
#[track_caller]
fn fresh_controllers_make_no_majority(dir: &Path) {
    let lost = ["controller-2", "controller-3"];
    // They serve nothing yet, and it may say so.
    run(dir, &[&["dev", "start"], &lost[..]].concat());
    let strength = "controllers: 1 of 3 answer, 2 more are empty, a majority is 2; none is active\n";
    let text = eventually("both answer", || {
        let said = String::from_utf8(run(dir, &RECOVER).stdout).unwrap();
        said.starts_with(strength).then_some(said)
    });
    assert!(text.contains("1. Stop the controllers whose data folders are empty"), "{text}");
    // Whichever controller a broker asks.
    for _ in 0..6 {
        let status = json(dir, &["cluster", "status", "-o", "json"]);
        assert_eq!(
            [&status["partition_count"], &status["active_controller"]],
            [&Value::from(2), &Value::Null],
            "{status}"
        );
        assert!(status["cluster_id"].is_string(), "{status}");
    }
    ends_with(dir, 0, &[&["dev", "kill"], &lost[..]].concat());
}

/// As the steps say, on the folder of the controller that is left.
#[track_caller]
fn go_on(dir: &Path, folder: &str) {
    let at = [&RECOVER[..], &["--data-dir", folder]].concat();
    let (_, why) = ends_with(dir, 11, &at);
    assert!(why.contains("is in use by another process"), "{why}");
    ends_with(dir, 0, &["dev", "kill", LEFT, "broker-1", "broker-2", "broker-3"]);
    let (text, _) = ends_with(dir, 0, &at);
    let fits = |line: &str| line.chars().count() <= 80 || line.trim_start().starts_with("holdfast");
    assert!(text.lines().filter(|line| !line.contains(folder)).all(fits), "{text}");
    assert!(text.contains("last entry of its log:") && text.contains("nothing was changed"), "{text}");
    assert!(text.contains(" --accept-loss --brokers IDS\n") && text.contains("Registered here: 1,2,3"), "{text}");
    let accept = [&at[..], &["--accept-loss", "--brokers", "1,2,3"]].concat();
    let (_, why) = ends_with(dir, 1, &[&at[..], &["--accept-loss", "--yes"]].concat());
    assert!(why.contains("Say which brokers there are") && why.contains("--brokers 1,2,3"), "{why}");
    let (_, why) = ends_with(dir, 1, &[&at[..], &["--accept-loss", "--yes", "--brokers", "1,3"]].concat());
    assert!(why.contains("Broker 2 is registered here, and neither among --brokers"), "{why}");
    let (_, why) = ends_with(dir, 1, &accept);
    assert!(why.contains("say --yes"), "{why}");
    let (_, why) = ends_with(dir, 2, &[&at[..], &["-o", "json"]].concat());
    assert!(why.contains("leave out '-o json'"), "{why}");
    let (text, _) = ends_with(dir, 0, &[&accept[..], &["--yes"]].concat());
    assert!(text.contains("it is the only controller from now on"), "{text}");
}

#[track_caller]
fn serves_once_all_brokers_were_heard(dir: &Path) {
    ends_with(dir, 0, &["dev", "start", LEFT, "controller-2", "controller-3", "broker-1", "broker-2"]);
    let text = eventually("one broker is waited for", || {
        let (text, _) = ends_with(dir, 0, &["cluster", "status"]);
        text.contains("2 partitions: offline: no leader").then_some(text)
    });
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "broker 3 has not registered since the controllers were recovered",
        "start broker 3 again",
        "1 recovery of the controllers; see holdfast cluster recoveries",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    let (past, _) = ends_with(dir, 0, &["cluster", "recoveries"]);
    assert!(past.starts_with("the controllers were recovered from controller"), "{past}");
    let status = json(dir, &["cluster", "status", "-o", "json"]);
    assert_eq!(status["unheard_brokers"], serde_json::json!([3]), "{status}");
    assert_eq!(
        status["controller_recoveries"][0]["given_up_controllers"].as_array().map(Vec::len),
        Some(2),
        "{status}"
    );
    // Where it never comes back, the same command says how it is given up.
    let (text, _) = ends_with(dir, 0, &RECOVER);
    assert!(text.contains("     holdfast broker disk-lost 3\n") && !text.contains("--accept-loss"), "{text}");

    ends_with(dir, 0, &["dev", "start", "broker-3"]);
    eventually("all is well", || ends_with(dir, 0, &["cluster", "status"]).0.ends_with("\ncluster: healthy\n"));
    produce(dir, "d\n");
    let (read, _) = ends_with(dir, 0, &["consume", "orders", "-e"]);
    let mut read: Vec<_> = read.lines().collect();
    read.sort_unstable();
    assert_eq!(read, ["a", "b", "c", "d"], "no record was given up");
    let (_, why) = ends_with(dir, 1, &RECOVER);
    assert!(why.contains("nothing has to be given up"), "{why}");
}

fn produce(dir: &Path, records: &str) {
    let mut child = holdfast(dir, &["produce", "orders"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(records.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn json(dir: &Path, arguments: &[&str]) -> Value {
    let (out, _) = ends_with(dir, 0, arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}
