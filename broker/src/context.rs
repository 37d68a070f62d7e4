//! What the parts of one broker share. Made once at start, passed on explicitly; there is no global.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use holdfast_log::{DataDir, LogWriter};
use holdfast_metadata::Image;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, ClusterId, IncarnationId, MetadataIndex, TopicPartition};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{
    clock::Clock,
    config::Config,
    exit::Fatal,
    grpc::{Controllers, Peers},
    lease::Lease,
    partition::{Replica, read::DiskReads, tail::TailCache},
    replication::{FetchQueues, Proposals},
};

/// Everything that is one broker.
pub struct Context {
    /// Its settings.
    pub config: Config,
    /// Its id.
    pub broker_id: BrokerId,
    /// Where others reach it.
    pub addresses: Addresses,
    /// Its clock.
    pub clock: Clock,
    /// Who it is.
    pub identity: Identity,
    /// How long it may believe that it is not fenced.
    pub lease: Lease,
    /// The cluster as far as it knows.
    pub metadata: Metadata,
    /// The replicas that are open here.
    pub partitions: Partitions,
    /// Recent batches.
    pub tail: Arc<TailCache>,
    /// Reads of older ones.
    pub disk: DiskReads,
    /// The threads that write logs.
    pub log_writer: LogWriter,
    /// The data folder.
    pub data_dir: Arc<DataDir>,
    /// Positions that wait to be told to leaders.
    pub fetches: FetchQueues,
    /// ISR changes that wait to be proposed.
    pub proposals: Proposals,
    /// The controllers.
    pub controllers: Controllers,
    /// Connections to other brokers, for calls that are sent on.
    pub peers: Peers,
    /// How it is doing.
    pub state: State,
}

/// Where others reach a broker, `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For clients.
    pub client: String,
    /// For other nodes.
    pub peer: String,
}

/// Who a broker is, in every call between nodes.
#[derive(Debug)]
pub struct Identity {
    /// Names this start of the process.
    pub incarnation_id: IncarnationId,
    /// Starts on this data folder.
    pub boot_counter: u64,
    cluster_id: OnceLock<ClusterId>,
    broker_epoch: AtomicU64,
}

impl Identity {
    /// The identity of a start that is not registered yet.
    pub fn new(incarnation_id: IncarnationId, data_dir: &DataDir) -> Self {
        let cluster_id = data_dir.cluster_id().map_or_else(OnceLock::new, OnceLock::from);
        let boot_counter = data_dir.boot_counter();
        Self { incarnation_id, boot_counter, cluster_id, broker_epoch: AtomicU64::new(0) }
    }

    /// The cluster that it belongs to; `None` before the first registration ever.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id.get().copied()
    }

    /// Remembers the cluster; false if it is known as another.
    pub fn learn_cluster_id(&self, cluster_id: ClusterId) -> bool {
        *self.cluster_id.get_or_init(|| cluster_id) == cluster_id
    }

    /// Epoch of the registration; 0 while there is none.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Acquire))
    }

    /// A registration succeeded.
    pub fn registered(&self, broker_epoch: BrokerEpoch) {
        self.broker_epoch.store(broker_epoch.0, Ordering::Release);
    }
}

/// The cluster's metadata as this broker has applied it.
pub struct Metadata {
    image: ArcSwap<Image>,
    index: watch::Sender<MetadataIndex>,
}

impl Default for Metadata {
    fn default() -> Self {
        let image = Image::default();
        let index = watch::Sender::new(image.index());
        Self { image: ArcSwap::from_pointee(image), index }
    }
}

impl Metadata {
    /// The image now. It never changes; a later call may give a newer one.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// As [`Metadata::image`], cheaper, for one look.
    pub fn look(&self) -> arc_swap::Guard<Arc<Image>> {
        self.image.load()
    }

    /// A newer image.
    pub fn publish(&self, image: Image) {
        let index = image.index();
        self.image.store(Arc::new(image));
        self.index.send_replace(index);
    }

    /// Tells of each newer index.
    pub fn watch(&self) -> watch::Receiver<MetadataIndex> {
        self.index.subscribe()
    }
}

/// The replicas that are open on this broker.
#[derive(Default)]
pub struct Partitions {
    open: RwLock<HashMap<TopicPartition, Replica>>,
}

impl Partitions {
    /// One of them.
    pub fn get(&self, id: TopicPartition) -> Option<Replica> {
        self.open.read().get(&id).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Replica> {
        self.open.read().values().cloned().collect()
    }

    /// Adds one that was opened.
    pub fn insert(&self, replica: Replica) {
        self.open.write().insert(replica.id, replica);
    }

    /// Removes one that was closed.
    pub fn remove(&self, id: TopicPartition) -> Option<Replica> {
        self.open.write().remove(&id)
    }
}

/// How a broker is doing.
pub struct State {
    recovered: AtomicBool,
    stopping: AtomicBool,
    disk_low: AtomicBool,
    fatal: watch::Sender<Option<Fatal>>,
    phase: watch::Sender<Phase>,
    streams_end: watch::Sender<bool>,
}

/// How far a broker is, for health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Logs are being recovered.
    Recovering,
    /// Logs are open; the metadata is not there yet, or the controller has fenced this broker.
    Joining,
    /// It serves.
    Serving,
    /// It was asked to stop.
    Stopping,
}

impl Default for State {
    fn default() -> Self {
        Self {
            recovered: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            disk_low: AtomicBool::new(false),
            fatal: watch::Sender::new(None),
            phase: watch::Sender::new(Phase::Recovering),
            streams_end: watch::Sender::new(false),
        }
    }
}

impl State {
    /// The process has to end, for this reason; the first one wins.
    pub fn fail(&self, fatal: Fatal) {
        self.fatal.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                tracing::error!(code = fatal.number(), reason = %fatal, "the broker has to end");
                *reason = Some(fatal);
            }
            first
        });
    }

    /// Returns once the process has to end.
    pub async fn failed(&self) -> Fatal {
        let mut reasons = self.fatal.subscribe();
        match reasons.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(fatal)) => fatal,
            _ => Fatal::Failure("the broker's state is gone".to_owned()),
        }
    }

    /// Logs are recovered: from now on the broker may ask to serve.
    pub fn set_recovered(&self) {
        self.recovered.store(true, Ordering::Release);
        self.set_phase(Phase::Joining);
    }

    /// True once the logs are recovered.
    pub fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// It was asked to stop: clients are told to go elsewhere.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
        self.set_phase(Phase::Stopping);
    }

    /// True once it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Every stream of clients and brokers ends now: this broker leads nothing any more, or cannot wait.
    pub fn end_streams(&self) {
        self.streams_end.send_replace(true);
    }

    /// Returns once every stream has to end.
    pub async fn streams_ended(&self) {
        let mut end = self.streams_end.subscribe();
        // An error says that the broker is gone.
        drop(end.wait_for(|end| *end).await);
    }

    /// Whether the disk is below its reserve.
    pub fn set_disk_low(&self, low: bool) {
        if self.disk_low.swap(low, Ordering::AcqRel) != low {
            if low {
                tracing::error!("the disk is below its reserve: producers get DISK_FULL until retention frees space");
            } else {
                tracing::info!("the disk is above its reserve again");
            }
        }
    }

    /// True while the disk is below its reserve.
    pub fn is_disk_low(&self) -> bool {
        self.disk_low.load(Ordering::Acquire)
    }

    /// How far it is. A broker that stops does not go back to serving.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let change = *now != phase && *now != Phase::Stopping;
            if change {
                *now = phase;
            }
            change
        });
    }

    /// Tells of each change of the phase.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}
