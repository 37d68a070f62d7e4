//! A broker as a process of its own, whose memory is nobody else's, and a producer that behaves well.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use holdfast_proto::{ids::BrokerId, v1};

use crate::rig::{Client, Rig, batch, until};

/// The program, killed with the test.
pub(crate) struct BrokerProcess {
    child: Child,
    pub(crate) client_address: String,
    pub(crate) peer_address: String,
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // It may have ended by itself, which a test sees before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl BrokerProcess {
    /// Starts broker 1 with these further settings, and waits until it serves.
    pub(crate) async fn start(rig: &Rig, settings: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_holdfast-broker")), rig, settings).await
    }

    /// As [`Self::start`]; it may have so many files open.
    pub(crate) async fn start_with_files(rig: &Rig, files: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_holdfast-broker")]);
        Self::start_by(shell, rig, "").await
    }

    /// True until it has ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it was not waited for").is_none()
    }

    async fn start_by(mut program: Command, rig: &Rig, settings: &str) -> Self {
        let path = rig.folder.path().join("broker.toml");
        let text = format!(
            "broker_id = 1\ndata_dir = \"{}\"\nclient_listen = \"127.0.0.1:0\"\npeer_listen = \"127.0.0.1:0\"\n\
             controllers = [\"{}\"]\nheartbeat_interval_ms = 100\ndisk_reserve_bytes = 0\nlog_level = \"off\"\n{settings}\n",
            rig.data_dir(1).display(),
            rig.controller.address,
        );
        fs::write(&path, text).unwrap();
        let child = program
            .args(["--config".as_ref(), path.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let registered = async || {
            let image = rig.controller.image();
            let known = image.broker(BrokerId(1)).filter(|known| known.is_active())?;
            Some((known.client_address.clone(), known.peer_address.clone()))
        };
        let (client_address, peer_address) = until("the broker serves", registered).await;
        Self { child, client_address, peer_address }
    }

    /// The most memory that it ever had, bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the broker lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// A client with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(|endpoint| endpoint).await
    }

    /// As [`Self::client`], with other settings of the connection.
    pub(crate) async fn client_with(&self, change: impl FnOnce(Endpoint) -> Endpoint) -> Client {
        let endpoint = Channel::from_shared(format!("http://{}", self.client_address)).unwrap();
        Client::over(change(endpoint).connect().await.expect("the port takes connections"))
    }

    /// Asks a health probe on a connection of its own.
    pub(crate) async fn is_ready(address: &str) -> bool {
        use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
        let connected = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
        let Ok(channel) = connected else { return false };
        let request = HealthCheckRequest { service: "ready".to_owned() };
        let answer = HealthClient::new(channel).check(request).await;
        answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
    }
}

/// Writes one record after another to partition 0 of a topic, each acknowledged by all before the next.
pub(crate) struct Steady {
    acked: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Steady {
    /// Over a connection of its own.
    pub(crate) async fn start(broker: &BrokerProcess, topic: &'static str) -> Self {
        let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut stream = broker.client().await.stream().await;
        until("the topic is led", async || stream.produce(topic, 0, batch(&["first"])).await.ok()).await;
        let (counted, stopping) = (Arc::clone(&acked), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !stopping.load(Ordering::Relaxed) {
                stream.produce(topic, 0, batch(&["steady"])).await.expect("a producer that behaves is served");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { acked, stop, task }
    }

    /// Waits until so many more were acknowledged.
    pub(crate) async fn flows(&self, more: u64) {
        let before = self.acked.load(Ordering::Relaxed);
        until("records are acknowledged", async || {
            assert!(!self.task.is_finished(), "the producer was refused");
            self.acked.load(Ordering::Relaxed) >= before + more
        })
        .await;
    }

    /// Ends it; every record that it wrote can be read back.
    pub(crate) async fn stop(self, broker: &BrokerProcess, topic: &str) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("a producer that behaves is served");
        let written = self.acked.load(Ordering::Relaxed) + 1;
        let query = v1::OffsetQuery {
            topic: topic.to_owned(),
            position: Some(v1::offset_query::Position::Latest(true)),
            ..Default::default()
        };
        let mut consumer = broker.client().await.consumer();
        let request = v1::ListOffsetsRequest { queries: vec![query] };
        let ends = consumer.list_offsets(request).await.unwrap().into_inner();
        assert!(ends.results[0].offset.unwrap() >= written, "{ends:?} of {written}");
    }
}
