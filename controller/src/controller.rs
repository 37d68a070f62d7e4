//! One running controller: puts the parts together, and takes them apart.
//!
//! It owns its runtime, so that a program and a test start and stop it alike; [`Controller::kill`] leaves it as a killed
//! process would, but for the bytes that the system holds.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch, task::JoinHandle};

use holdfast_node::{fatal::FatalCell, health::Probes, incoming, metrics::Port, watchdog::Watchdog};

use crate::{
    actors::{self, SessionsHandle, Stopper},
    agreement::Agreement,
    channels::{Channels, channels},
    clocks::Clocks,
    config::Config,
    duties,
    exit::Fatal,
    formation::Formation,
    grpc::server::{self, Edge},
    health,
    identity::{self, DataDir},
    metrics::ControllerMetrics,
    node::{Node, Others},
    peers::Peers,
    quorum::{
        finder::Finder,
        keeper::Keeper,
        standing::{Keeping, Standing},
    },
    raft::{
        Consensus, Contact, Halt, Inbound, Lineages, LogStore, Members, Network, Reach, Role, StateMachine, keep_short,
        watch_role,
    },
    rivals,
    store::{Marker, Origin, Store, Told},
    view::MetadataView,
};

/// Threads for the network and the consensus. The store and the sessions have threads of their own.
const THREADS: usize = 2;
/// Time for another controller to take the leadership when this one stops.
const HAND_OVER: Duration = Duration::from_secs(2);
/// Time for calls in progress to end when this controller stops.
const DRAIN: Duration = Duration::from_secs(1);

/// A running controller. Dropped, it ends as if killed.
pub struct Controller {
    runtime: Option<Runtime>,
    node: Node,
    data: Arc<DataDir>,
    sessions: Option<Stopper>,
    stop: watch::Sender<bool>,
    server: Mutex<Option<JoinHandle<()>>>,
    fatal: FatalCell<Fatal>,
    standing: watch::Receiver<Standing>,
    /// Answers `live` until the end.
    watchdog: Option<Watchdog>,
}

/// Starts a controller. Must not be called from async code: it makes a runtime and blocks on the disk.
pub fn run(config: Config) -> Result<Controller, Fatal> {
    let failure = |error: &dyn std::fmt::Display| Fatal::Failure(error.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("controller")
        .enable_all()
        .build()
        .map_err(|error| failure(&error))?;
    let config = Arc::new(config);
    // The port first: a second start by mistake must not touch the folder.
    let listener =
        runtime.block_on(incoming::listen(&config.listen)).map_err(|error| in_use(&config.listen, "listen", &error))?;
    let metrics = config.metrics_listen.as_ref().map(|address| {
        let bound = runtime.block_on(Port::bind(address));
        bound.map_err(|error| in_use(address, "metrics_listen", &error))
    });
    let metrics = metrics.transpose()?;
    let data = Arc::new(DataDir::open(&config.data_dir)?);
    let identity = data.identity();
    if let (Some(found), Some(wanted)) = (identity.cluster_id, config.cluster_id.map(holdfast_proto::ids::ClusterId))
        && found != wanted
    {
        return Err(identity::Error::OtherCluster { found, wanted }.into());
    }
    tracing::info!(
        node_id = identity.node_id,
        directory_id = %identity.directory_id,
        boot = identity.boot_counter,
        listen = config.listen,
        "controller starts"
    );
    let marker = Marker { node_id: identity.node_id, directory_id: identity.directory_id.0 };
    // What a folder that is bound to a cluster promised or voted stands in the store that it made before.
    let origin = if identity.cluster_id.is_some() { Origin::Made } else { Origin::New };
    let told = Told::open(&data.told_path(), identity.told)?;
    let store = Store::open(&data.store_path(), &marker, origin, told)?;
    let view = MetadataView::default();
    let fatal = FatalCell::default();
    let halt = Halt::new(fatal.clone());
    let log = LogStore::open(store.clone(), halt.clone()).map_err(Fatal::of_store)?;
    data.keep_told()?;
    let lineages = Lineages::open(Arc::clone(&data), store.clone(), log.clone(), halt.clone(), view.clone())?;
    let machine = StateMachine::open(store, view.clone(), halt.clone()).map_err(Fatal::of_store)?;
    let channels = channels();
    runtime.block_on(rivals::give_way(&config, &data, &channels, &lineages))?;
    let append_timeout = Duration::from_millis(config.election_timeout_max_ms.max(1_000));
    let reach = Reach::default();
    let clocks = Clocks::default();
    let network = Network::new(
        Arc::clone(&data),
        channels.clone(),
        append_timeout,
        reach.clone(),
        lineages.clone(),
        clocks.clone(),
    );
    let started = runtime.block_on(Consensus::start(&config, identity.node_id, network, log.clone(), machine));
    // What the storage noted is why it did not start.
    let consensus = started.map_err(|error| fatal.get().unwrap_or(error))?;
    runtime.spawn(keep_short(consensus.clone(), log, Arc::clone(&config)));
    let members = {
        let consensus = consensus.clone();
        move || Members::of(&consensus).list.iter().map(|member| member.id).collect()
    };
    runtime.spawn(lineages.clone().keep(members));

    let contact = Contact::default();
    let (role_sender, role) = watch::channel(Role::default());
    let others = Others { contact: contact.clone(), reach: reach.clone(), clocks };
    let node = Node::new(Arc::clone(&config), Arc::clone(&data), consensus.clone(), view.clone(), role, others);
    if let Some(port) = metrics {
        let bound = port.address().map_err(|error| failure(&error))?;
        tracing::info!(address = %bound, "metrics are served at /metrics");
        runtime.spawn(port.serve(Arc::new(ControllerMetrics::new(node.clone(), lineages.clone()))));
    }
    let probes = Probes::new();
    let watchdog = Watchdog::start(&probes, &config.data_dir).map_err(|error| failure(&error))?;
    runtime.spawn(watchdog.watch("the runtime").keep());
    let turns = watchdog.watch("the sessions' thread");
    let (sessions, stopper) = actors::start(node.clone(), turns).map_err(|error| failure(&error))?;
    let (stop, stopped) = watch::channel(false);
    let (standing, own_standing) = watch::channel(Standing::default());
    let parts = Parts {
        config,
        data: Arc::clone(&data),
        node: node.clone(),
        consensus,
        channels: channels.clone(),
        view,
        standing,
        contact,
        halt,
        lineages,
        agreement: Agreement::new(node.clone(), channels, reach.clone()),
        probes,
        reach,
    };
    let server = {
        let _context = runtime.enter();
        parts.spawn(listener, sessions, role_sender, fatal.clone(), stopped)
    };
    Ok(Controller {
        runtime: Some(runtime),
        node,
        data,
        sessions: Some(stopper),
        stop,
        server: Mutex::new(Some(server)),
        fatal,
        standing: own_standing,
        watchdog: Some(watchdog),
    })
}

/// That another program has a port.
fn in_use(address: &impl std::fmt::Display, option: &'static str, error: &std::io::Error) -> Fatal {
    Fatal::AddressInUse { address: address.to_string(), option, reason: error.to_string() }
}

struct Parts {
    config: Arc<Config>,
    data: Arc<DataDir>,
    node: Node,
    consensus: Consensus,
    channels: Channels,
    view: MetadataView,
    standing: watch::Sender<Standing>,
    contact: Contact,
    halt: Halt,
    lineages: Lineages,
    agreement: Agreement,
    probes: Probes,
    reach: Reach,
}

impl Parts {
    /// Starts every task; returns the server's.
    fn spawn(
        self,
        listener: TcpListener,
        sessions: SessionsHandle,
        role: watch::Sender<Role>,
        fatal: FatalCell<Fatal>,
        mut stopped: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let Self { config, data, node, consensus, channels, view, standing, contact, halt, .. } = self;
        let Self { lineages, agreement, probes, reach, .. } = self;
        let fail = move |reason: Fatal| {
            // The program reports it as it ends.
            fatal.put(reason, |_| {});
        };
        let role_ended = fail.clone();
        let roles = watch_role(consensus.clone(), view, role);
        tokio::spawn(async move { role_ended(roles.await) });
        let formation_ended = fail.clone();
        let peers = Peers {
            config: Arc::clone(&config),
            data: Arc::clone(&data),
            channels: channels.clone(),
            lineages: lineages.clone(),
        };
        let formation = Formation { peers: peers.clone(), consensus: consensus.clone() };
        tokio::spawn(async move {
            if let Err(error) = formation.run().await {
                formation_ended(Fatal::DataFolder(error.to_string()));
            }
        });
        let naming_ended = fail.clone();
        let naming = duties::name_cluster(node.clone(), Arc::clone(&data));
        tokio::spawn(async move { naming_ended(naming.await) });
        tokio::spawn(duties::rebalance_leaders(node.clone()));
        tokio::spawn(duties::finalize_new(node.clone(), agreement.clone()));
        tokio::spawn(rivals::meet(node.clone(), peers.clone()));
        let keeper = Keeper::new(node.clone(), peers.clone(), reach.clone());
        tokio::spawn(keeper.clone().run());
        tokio::spawn(Finder { node: node.clone(), peers: peers.clone(), reach }.run());
        let replaced = fail.clone();
        let own_standing = standing.subscribe();
        let keeping = Keeping { node: node.clone(), peers: peers.clone(), standing };
        tokio::spawn(async move { replaced(keeping.run().await) });
        let diverged = fail.clone();
        let watching = agreement.clone().watch();
        tokio::spawn(async move { diverged(watching.await) });
        tokio::spawn(health::report(node.clone(), peers, own_standing, probes.clone()));
        let inbound = Inbound::new(Arc::clone(&data), &consensus, contact, halt, lineages);
        let edge = Edge { config, data, node, sessions, channels, inbound, keeper, agreement, probes };
        tokio::spawn(async move {
            let ended = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
            if let Err(error) = server::serve(edge, listener, ended).await {
                fail(Fatal::Failure(format!("the port is not served any more: {error}")));
            }
        })
    }
}

impl Controller {
    /// This controller for callers in the same process.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What this controller is in the quorum, and what it waits for.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Resolves when the controller cannot go on.
    pub async fn failed(&self) -> Fatal {
        self.fatal.wait().await
    }

    /// Why the controller cannot go on, if so.
    #[cfg(test)]
    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.fatal.get()
    }

    /// Runs a future on the controller's runtime. Must not be called from async code.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("the runtime is there until the end").block_on(future)
    }

    /// Hands the leadership over, lets calls in progress end, and stops. Must not be called from async code.
    pub fn stop(mut self) {
        let server = self.server.lock().take();
        self.block_on(async {
            self.node.step_down(HAND_OVER).await;
            self.stop.send_replace(true);
            if let Some(mut server) = server
                && tokio::time::timeout(DRAIN, &mut server).await.is_err()
            {
                server.abort();
            }
            match tokio::time::timeout(DRAIN, self.node.consensus().shutdown()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the consensus did not stop in order"),
                // What it has acknowledged is durable, so nothing is lost.
                Err(_) => tracing::warn!("the consensus did not stop in time"),
            }
        });
        self.end();
        tracing::info!("controller stopped");
    }

    /// Ends at once and tells nobody. Must not be called from async code.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.watchdog = None;
        self.sessions = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// The folder, for tests that wait until nobody holds it any more.
    #[doc(hidden)]
    pub fn folder(&self) -> std::sync::Weak<DataDir> {
        Arc::downgrade(&self.data)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.end();
    }
}
