//! The data folder of a broker comes back from an older copy, or is used twice.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, Programs, Role};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::{Copy, Folder, Restore},
    said::Said,
    stand::{BROKERS, Stand},
};

use crate::{
    all_variants,
    steps::{restore, until_isr, until_older, until_recognised, until_registered},
};

/// A broker that leads and follows is killed under load, and comes back with what its folder held a while ago, in the same
/// boot and two boots before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_with_an_older_folder_is_recognised_and_copies_all_of_it_again() {
    let mut stand = Stand::start().await;
    let variants = [(Restore::Volume, 0), (Restore::Files, 0), (Restore::Volume, 2), (Restore::Files, 2)];
    let variants = if all_variants() { &variants[..] } else { &variants[..3] };
    for (number, (how, boots)) in variants.iter().enumerate() {
        let broker = BROKERS[number % BROKERS.len()];
        stand.led_and_followed(broker).await;
        let load = stand.load();
        load.flows(500).await;
        let copy = stand.copy_running(broker);
        until_older(&stand, broker, &copy).await;
        for _ in 0..*boots {
            stand.kill(broker);
            stand.begin(broker);
            stand.fixture.cluster.wait_node(broker, PATIENCE).await.expect("it comes back");
            stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it rejoins");
        }
        load.flows(500).await;
        let said = Said::by_controllers(&stand.fixture.cluster);
        stand.kill(broker);
        restore(&stand, broker, &copy, *how);
        stand.begin(broker);
        until_recognised(&said, broker).await;
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("{broker} restored, {how:?}, {boots} boots old")).await;
    }
}

/// All brokers are killed; the one whose folder is old comes first, alone, then with one of the others. It must not lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_broker_that_is_there_first_does_not_lead() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 6 } else { 1 };
    for round in 0..rounds {
        let restored = BROKERS[round % 3];
        let others = [BROKERS[(round + 1) % 3], BROKERS[(round + 2) % 3]];
        stand.write(500).await;
        let copy = stand.copy_running(restored);
        let load = stand.load();
        until_older(&stand, restored, &copy).await;
        let said = Said::by_controllers(&stand.fixture.cluster);
        stand.kill_all_brokers().await;
        restore(&stand, restored, &copy, if round % 2 == 0 { Restore::Volume } else { Restore::Files });
        stand.begin(restored);
        until_recognised(&said, restored).await;
        for broker in others {
            stand.begin(broker);
        }
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("all killed, {restored} restored and first")).await;
    }
}

/// As before, with a copy so young that it proves itself as well as the folder does, and lacks records all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restored_to_a_second_ago_does_not_lead_if_it_is_there_first() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 6 } else { 2 };
    for round in 0..rounds {
        // They are fenced in this order: the last ones stay eligible.
        let restored = BROKERS[2 - round % 3];
        let others = BROKERS.into_iter().filter(|other| *other != restored);
        let how = if round < 3 { Restore::Volume } else { Restore::Files };
        let load = stand.load();
        let copy = loop {
            let copy = stand.copy_running(restored);
            load.flows(200).await;
            if !copy.is_older_than(&Folder::of(&stand.fixture.cluster, restored)) {
                break copy;
            }
        };
        stand.kill_all_brokers().await;
        restore(&stand, restored, &copy, how);
        stand.begin(restored);
        until_registered(&stand, restored).await;
        for broker in others {
            stand.begin(broker);
        }
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("all killed, {restored} restored to a moment ago and first, {how:?}")).await;
    }
}

/// In sync are 1 and 2, 3 lags; 2 is killed, 1 is stopped and restored from an older copy; 3 comes back. Only 2 holds
/// everything: until it is there nobody leads, and then everybody follows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_whole_replica_is_waited_for_and_not_replaced_by_a_restored_one() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 6 } else { 1 };
    for round in 0..rounds {
        let [restored, whole, lagging] = [0, 1, 2].map(|step| BROKERS[(round + step) % 3]);
        stand.write(500).await;
        let copy = stand.copy_running(restored);
        stand.kill(lagging);
        let in_sync = [restored, whole];
        until_isr(&stand, &in_sync).await;
        let load = stand.load();
        until_older(&stand, restored, &copy).await;
        stand.take(load).await;
        stand.kill(whole);
        until_isr(&stand, &[restored]).await;
        let ended = stand.fixture.cluster.terminate(restored, PATIENCE).await.expect("it ends");
        assert!(ended, "{restored} did not end by itself");
        restore(&stand, restored, &copy, if round % 2 == 0 { Restore::Volume } else { Restore::Files });

        let said = Said::by_controllers(&stand.fixture.cluster);
        stand.begin(restored);
        stand.begin(lagging);
        until_recognised(&said, restored).await;
        for broker in [restored, lagging] {
            until_registered(&stand, broker).await;
        }
        let topic = stand.topic().await;
        for info in &topic.partitions {
            assert_eq!(info.leader, None, "{TOPIC}-{} is led without the only replica that holds all", info.partition);
        }
        stand.begin(whole);
        stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it heals by itself");
        stand.write(500).await;
        stand.prove(&format!("{restored} restored, {whole} alone is whole, {lagging} lagged")).await;
    }
}

/// A second process on a copied folder, ended with the test.
struct Twin {
    child: Child,
    log: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Twin {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Twin {
    /// Starts it on what the copy holds, at ports of its own.
    fn start(stand: &Stand, broker: NodeName, copy: &Copy) -> Self {
        let config = stand.fixture.cluster.dir().join("config").join(format!("{broker}.toml"));
        let config = fs::read_to_string(config).expect("the config was written");
        let own = |line: &&str| !["data_dir", "client_", "peer_"].iter().any(|key| line.starts_with(key));
        let folder = tempfile::tempdir().expect("a folder for the second process");
        let text = format!(
            "{}\ndata_dir = \"{}\"\nclient_listen = \"127.0.0.1:0\"\npeer_listen = \"127.0.0.1:0\"\n",
            config.lines().filter(own).collect::<Vec<_>>().join("\n"),
            copy.path().display(),
        );
        let (path, log) = (folder.path().join("broker.toml"), folder.path().join("broker.log"));
        fs::write(&path, text).expect("a config for the second process");
        let output = File::create(&log).expect("a log for the second process");
        let programs = Programs::find().expect("the programs were built");
        let child = Command::new(programs.of(Role::Broker))
            .args(["--config".as_ref(), path.as_os_str()])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("one log for both"))
            .stderr(output)
            .spawn()
            .expect("the second process starts");
        Self { child, log, _folder: folder }
    }

    fn said(&self, what: &str) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|text| text.contains(what))
    }
}

/// A second process starts on a copy of the folder while the first lives. It is refused as long as that is so, and counts
/// for nothing when it takes over; the first, when it comes back, counts for nothing either until it has copied again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_on_one_folder_and_its_copy_neither_passes_for_the_other() {
    let mut stand = Stand::start().await;
    let broker = NodeName::broker(2);
    let load = stand.load();
    load.flows(500).await;
    let copy = stand.copy_running(broker);
    let twin = Twin::start(&stand, broker, &copy);
    until("the second process is refused", async || twin.said("DUPLICATE_BROKER_REGISTRATION")).await;
    until_older(&stand, broker, &copy).await;

    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.kill(broker);
    until_recognised(&said, broker).await;
    until("the second process takes over", async || twin.said("registered broker_epoch")).await;
    load.flows(500).await;
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it copies everything again");
    load.flows(500).await;
    let first = Folder::of(&stand.fixture.cluster, broker).copy();
    until("the second proves itself by more than the first has", async || {
        first.is_older_than(&Folder::at(copy.path()))
    })
    .await;

    // The folder of the first one is the older state now.
    drop(twin);
    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.begin(broker);
    until_recognised(&said, broker).await;
    load.flows(500).await;
    stand.take(load).await;
    stand.prove("a copied folder used twice").await;
}
