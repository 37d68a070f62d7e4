//! A cluster of processes for one test.

use std::fs;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use holdfast_checker::{
    account::{Account, Verdict},
    readback,
};
use holdfast_client::{Client, ClientConfig, NewTopic};
use holdfast_eventually::PATIENCE;
use holdfast_local::{ClusterSpec, NodeName, ProcessCluster, Programs};

use super::{proxy::Proxy, said::are_deaf};

/// The topic of the tests.
pub const TOPIC: &str = "orders";
/// Partitions of [`TOPIC`], written to by every producer.
pub const PARTITIONS: u32 = 8;

/// One cluster at a time: while a node of one is down, another would take its ports, and the machine's cores.
static TURN: Mutex<()> = Mutex::const_new(());

/// Three controllers, three brokers, one topic of 8 partitions, replication factor 3, min.insync.replicas 2.
pub struct Fixture {
    /// Three controllers and three brokers, killed at the latest when this is dropped.
    pub cluster: ProcessCluster,
    /// A client of the cluster.
    pub client: Client,
    /// The links between clients and brokers, if there are any, by broker id less 1.
    pub proxies: Vec<Proxy>,
    // Removed last: the processes end with `cluster`. Kept if the test fails.
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What is different from [`Fixture::start`].
#[derive(Default)]
pub struct Setup<'a> {
    /// Settings of every broker, as `key=value`.
    pub broker_settings: &'a [&'a str],
    /// Settings of the topic.
    pub topic: &'a [(&'a str, &'a str)],
    /// The programs of the nodes; those that were built if absent.
    pub programs: Option<Programs>,
}

impl Fixture {
    /// Starts the cluster and creates the topic.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// As [`Self::start`], with this set up.
    pub async fn start_with(setup: Setup<'_>) -> Self {
        let turn = TURN.lock().await;
        let (folder, cluster) = lay_out(&setup);
        Self::run(turn, folder, cluster, Vec::new(), setup.topic).await
    }

    /// As [`Self::start`]; clients reach each broker through a [`Proxy`] alone.
    pub async fn start_behind_proxies() -> Self {
        let turn = TURN.lock().await;
        let (folder, cluster) = lay_out(&Setup::default());
        let mut proxies = Vec::new();
        for number in 1..=3 {
            let broker = NodeName::broker(number);
            let address = cluster.address(broker).expect("a broker has an address");
            let proxy = Proxy::start(address.clone()).await;
            // The config names the client address twice: where to listen, and what to tell clients.
            let path = cluster.dir().join("config").join(format!("{broker}.toml"));
            let text = fs::read_to_string(&path).expect("the config was written");
            let told = text
                .lines()
                .filter(|line| !line.starts_with("client_advertised_address"))
                .chain([format!("client_advertised_address = \"{}\"", proxy.address()).as_str()])
                .collect::<Vec<_>>()
                .join("\n");
            fs::write(&path, told + "\n").expect("the config can be written");
            proxies.push(proxy);
        }
        Self::run(turn, folder, cluster, proxies, &[]).await
    }

    async fn run(
        turn: MutexGuard<'static, ()>,
        folder: TempDir,
        mut cluster: ProcessCluster,
        proxies: Vec<Proxy>,
        configs: &[(&str, &str)],
    ) -> Self {
        cluster.start_all().expect("the programs start");
        cluster.wait_ready(PATIENCE).await.expect("the cluster becomes ready");
        let client = Client::connect(ClientConfig::new(cluster.bootstrap())).await.expect("the cluster answers");
        let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).replication_factor(3);
        let topic = [("min.insync.replicas", "2")]
            .iter()
            .chain(configs)
            .fold(topic, |topic, (key, value)| topic.config(*key, *value));
        client.admin().create_topic(topic).await.expect("the topic is created");
        cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("the replicas come in sync");
        Self { cluster, client, proxies, folder, _turn: turn }
    }

    /// Waits until every replica is in sync, reads everything back, and holds it against the account.
    pub async fn audit(&self, account: Account) -> Verdict {
        self.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("the replicas come in sync again");
        readback::audit(&self.client, TOPIC, account.audit(), |_| ()).await.expect("everything can be read back")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            println!("data and logs are kept in {}", self.folder.path().display());
        }
    }
}

fn lay_out(setup: &Setup<'_>) -> (TempDir, ProcessCluster) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut spec = ClusterSpec::tied(folder.path()).expect("the programs were built: run `make test`");
    spec.broker_settings = setup.broker_settings.iter().map(|setting| setting.parse().expect("key=value")).collect();
    spec.programs = setup.programs.clone().unwrap_or(spec.programs);
    let cluster = ProcessCluster::create(&spec).expect("the cluster can be laid out");
    if are_deaf() {
        forget_metrics(&cluster);
    }
    (folder, cluster)
}

/// Takes out of the configurations what programs do not know that are from before there were metrics.
fn forget_metrics(cluster: &ProcessCluster) {
    for node in cluster.nodes() {
        let path = cluster.dir().join("config").join(format!("{node}.toml"));
        let text = fs::read_to_string(&path).expect("the config was written");
        let known: String =
            text.lines().filter(|line| !line.starts_with("metrics_listen")).flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, known).expect("the config can be written");
    }
}
