//! The data folder of a broker is used twice at the same time.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use holdfast_eventually::{PATIENCE, until};
use holdfast_local::{NodeName, Programs, Role};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::{Copy, Folder},
    said::Said,
    stand::Stand,
};

use crate::steps::{until_older, until_recognised};

/// A second process on a copied folder, ended with the test.
struct Twin {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
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
        let own = |line: &&str| !["data_dir", "client_", "peer_", "metrics_"].iter().any(|key| line.starts_with(key));
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
