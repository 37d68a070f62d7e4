//! A quorum to play with.

use std::{
    collections::BTreeMap,
    iter,
    net::TcpListener,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use holdfast_controller::{Controller, config::Config, run};
pub(crate) use holdfast_eventually::eventually;
use holdfast_proto::{
    ids::ClusterId,
    v1::{
        GetFormationRequest, GetFormationResponse, Recovered, admin_service_client::AdminServiceClient,
        controller_service_client::ControllerServiceClient, raft_service_client::RaftServiceClient,
    },
};

/// Ports that were free a moment ago, and that no other test of this process gets. They lie below those that the system
/// gives to outgoing connections, so that none of these takes one while its controller is stopped.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(97);
    let next = || (FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    iter::repeat_with(next).take(COUNT as usize).filter(is_free).take(count).collect()
}

pub(crate) struct Quorum {
    folder: TempDir,
    pub(crate) addresses: Vec<String>,
    nodes: Vec<Option<Controller>>,
    runtime: Runtime,
    change: fn(&mut Config),
    /// Where controllers listen that are reached through something else.
    listens: BTreeMap<usize, String>,
    /// What controllers have for `peers` that do not have all addresses there.
    peers: BTreeMap<usize, Vec<String>>,
}

impl Quorum {
    /// `count` controllers that are not started yet. `change` alters every configuration.
    pub(crate) fn new(count: usize, change: fn(&mut Config)) -> Self {
        // RUST_LOG=debug shows what happens.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let mut addresses: Vec<String> =
            free_ports(count).into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
        // The first is the initiator.
        addresses.sort();
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            addresses,
            nodes: (0..count).map(|_| None).collect(),
            runtime: Runtime::new().expect("a runtime"),
            change,
            listens: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Lets a controller that is not started yet listen elsewhere; its address stays. Returns where.
    pub(crate) fn listen_elsewhere(&mut self, at: usize) -> String {
        let listen = format!("127.0.0.1:{}", free_ports(1)[0]);
        self.listens.insert(at, listen.clone());
        listen
    }

    /// Gives a controller that is not running another address.
    pub(crate) fn relocate(&mut self, at: usize) {
        assert!(self.nodes[at].is_none(), "controller {at} is running");
        self.addresses[at] = format!("127.0.0.1:{}", free_ports(1)[0]);
    }

    /// Lets a controller have the present addresses of these alone for `peers`, from its next start on.
    pub(crate) fn list(&mut self, at: usize, peers: &[usize]) {
        self.peers.insert(at, peers.iter().map(|peer| self.addresses[*peer].clone()).collect());
    }

    /// Stops a controller in order and starts it again, with what is its configuration now.
    pub(crate) fn restart(&mut self, at: usize) {
        self.stop(at);
        self.start(at);
    }

    /// `count` started controllers, one of them active.
    pub(crate) fn formed(count: usize, change: fn(&mut Config)) -> Self {
        let mut quorum = Self::new(count, change);
        for at in 0..count {
            quorum.start(at);
        }
        quorum.active();
        quorum
    }

    pub(crate) fn data_dir(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("c{at}"))
    }

    pub(crate) fn config(&self, at: usize) -> Config {
        let mut config = Config {
            data_dir: self.data_dir(at),
            listen: self.addresses[at].clone(),
            peers: self.peers.get(&at).unwrap_or(&self.addresses).clone(),
            heartbeat_interval_ms: 100,
            election_timeout_min_ms: 300,
            election_timeout_max_ms: 450,
            formation_interval_ms: 50,
            ..Config::default()
        };
        if let Some(listen) = self.listens.get(&at) {
            config.listen.clone_from(listen);
            config.advertised_address.clone_from(&self.addresses[at]);
        }
        (self.change)(&mut config);
        assert_eq!(config.validate(), []);
        config
    }

    pub(crate) fn start(&mut self, at: usize) {
        assert!(self.nodes[at].is_none(), "controller {at} is running");
        self.nodes[at] = Some(run(self.config(at)).expect("a controller"));
    }

    /// Ends a controller without telling the others, and waits until its folder is free.
    pub(crate) fn kill(&mut self, at: usize) {
        let node = self.nodes[at].take().expect("a running controller");
        let folder = node.folder();
        node.kill();
        eventually("the folder to be free", || folder.upgrade().is_none().then_some(()));
    }

    /// Stops a controller in order.
    pub(crate) fn stop(&mut self, at: usize) {
        let node = self.nodes[at].take().expect("a running controller");
        let folder = node.folder();
        node.stop();
        eventually("the folder to be free", || folder.upgrade().is_none().then_some(()));
    }

    pub(crate) fn node(&self, at: usize) -> &Controller {
        self.nodes[at].as_ref().expect("a running controller")
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &Controller)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.as_ref()?)))
    }

    /// The active controller, once there is one and the cluster has its name.
    #[track_caller]
    pub(crate) fn active(&self) -> usize {
        eventually("an active controller", || {
            self.running()
                .find(|(_, node)| node.node().is_active() && node.node().cluster_id().is_some())
                .map(|(at, _)| at)
        })
    }

    /// A running controller that is not active, and knows who is.
    #[track_caller]
    pub(crate) fn passive(&self) -> usize {
        let active = self.active();
        eventually("a controller that follows", || {
            let id = self.node(active).node().id();
            self.running()
                .find(|(at, node)| *at != active && node.node().leader().is_some_and(|leader| leader.id.0 == id))
                .map(|(at, _)| at)
        })
    }

    pub(crate) fn cluster_id(&self) -> ClusterId {
        self.node(self.active()).node().cluster_id().expect("a formed cluster")
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn channel(&self, at: usize) -> Channel {
        let _guard = self.runtime.enter();
        channel(&self.addresses[at])
    }

    pub(crate) fn admin(&self, at: usize) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel(at))
    }

    pub(crate) fn controller(&self, at: usize) -> ControllerServiceClient<Channel> {
        ControllerServiceClient::new(self.channel(at))
    }

    pub(crate) fn formation(&self, at: usize, promise: Option<ClusterId>) -> GetFormationResponse {
        let request = GetFormationRequest {
            cluster_id: promise.map(ClusterId::to_bytes).unwrap_or_default(),
            source_node_id: 99,
            peers: self.addresses.clone(),
            // With an empty store: refused by nobody.
            recovered: Some(Recovered::default()),
            ..GetFormationRequest::default()
        };
        let mut client = RaftServiceClient::new(self.channel(at));
        self.block_on(client.get_formation(request)).expect("an answer").into_inner()
    }

    /// What a controller answers to a probe; one that it does not know yet, as it starts, is no yes.
    pub(crate) fn probe(&self, at: usize, service: &str) -> bool {
        let request = HealthCheckRequest { service: service.to_owned() };
        match self.block_on(HealthClient::new(self.channel(at)).check(request)) {
            Ok(answer) => answer.into_inner().status == ServingStatus::Serving as i32,
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status}");
                false
            }
        }
    }

    /// Waits until the active controller has exactly these for voters, at their present addresses, and no learner.
    #[track_caller]
    pub(crate) fn votes(&self, expected: &[usize]) {
        let expected: BTreeMap<u64, &String> =
            expected.iter().map(|at| (self.node(*at).node().id(), &self.addresses[*at])).collect();
        eventually("the voters", || {
            let members = self.node(self.active()).node().members();
            let voters: BTreeMap<u64, &String> =
                members.iter().filter(|member| member.voter).map(|member| (member.id, &member.address)).collect();
            voters == expected && members.len() == voters.len()
        });
    }

    /// Waits until every running controller has applied what the active one has.
    #[track_caller]
    pub(crate) fn converge(&self) {
        let active = self.active();
        let index = self.node(active).node().view().image().index();
        eventually("all to have applied the same", || {
            self.running().all(|(_, node)| node.node().view().image().index() >= index).then_some(())
        });
    }
}

pub(crate) fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(20))
        .connect_lazy()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
