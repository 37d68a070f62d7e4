//! Two processes with one broker id, under load: the older hangs on a node that nobody reaches, the newer has an empty
//! folder. Ends with the audit of every acknowledged record.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, Programs, Role};
use holdfast_tests::process::{
    fixture::{Fixture, TOPIC},
    load::Load,
};

/// A process outside the cluster's own, ended with the test.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The newer one is refused while the older one lives, takes over within seconds once it is silent, and is not
/// displaced when it comes back: the older one acknowledges nothing, says so, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_of_two_processes_of_one_id_is_fenced_and_says_so() {
    let mut fixture = Fixture::start().await;
    let older = NodeName::broker(1);
    let folder = tempfile::tempdir().expect("a folder for the newer one");
    let config = fs::read_to_string(fixture.cluster.dir().join("config").join(format!("{older}.toml")))
        .expect("the config was written");
    let own = |line: &&str| !["data_dir", "client_", "peer_", "metrics_"].iter().any(|key| line.starts_with(key));
    let moved = format!(
        "{}\ndata_dir = \"{}\"\nclient_listen = \"127.0.0.1:0\"\npeer_listen = \"127.0.0.1:0\"\n",
        config.lines().filter(own).collect::<Vec<_>>().join("\n"),
        folder.path().join("data").display(),
    );
    let (path, log) = (folder.path().join("broker.toml"), folder.path().join("broker.log"));
    fs::write(&path, moved).expect("a config for the newer one");
    let said = |log: &std::path::Path, what: &str| fs::read_to_string(log).is_ok_and(|text| text.contains(what));

    let load = Load::start(&fixture.client, 4, 400);
    load.flows(500).await;
    let output = fs::File::create(&log).expect("a log for the newer one");
    let programs = Programs::find().expect("the programs were built");
    let newer = Command::new(programs.of(Role::Broker))
        .args(["--config".as_ref(), path.as_os_str()])
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("one log for both"))
        .stderr(output)
        .spawn()
        .expect("the newer one starts");
    let _newer = Stranger(newer);
    until("the newer one is refused", async || said(&log, "DUPLICATE_BROKER_REGISTRATION")).await;
    load.flows(500).await;
    assert!(!said(&log, "registered broker_epoch"), "it displaced a broker that lives");

    fixture.cluster.suspend(older).expect("the older one hangs");
    until("the newer one takes over", async || said(&log, "registered broker_epoch")).await;
    println!("the newer one has taken over; longest pause of acks {:?}", load.watch.take_longest_pause());
    fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("the newer one catches up from nothing");
    load.flows(500).await;

    fixture.cluster.resume(older).expect("the older one goes on");
    let older_log = fixture.cluster.log_path(older);
    until("the older one says so", async || said(&older_log, "was replaced by another process")).await;
    let cluster = &mut fixture.cluster;
    until("the older one has ended", async || cluster.resume(older).is_err()).await;
    load.flows(500).await;
    assert!(!said(&log, "was replaced"), "the two take turns");
    let summary = load.stop().await;
    assert_eq!(summary.refused, 0, "a record was refused: {:?}", summary.first_problem);
    let verdict = fixture.audit(summary.account).await;
    assert!(verdict.is_clean(), "{verdict:?}");
    println!("acked={} read={} in doubt={}", verdict.acked, verdict.read, verdict.in_doubt);
}
