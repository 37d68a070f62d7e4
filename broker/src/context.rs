//! What the parts of one broker share. Made once at start, passed on explicitly; there is no global.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::watch;

use holdfast_log::{DataDir, LogWriter};
use holdfast_metadata::Image;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, ClusterId, IncarnationId, MetadataIndex, TopicPartition};

use crate::{
    clock::Clock,
    config::Config,
    grpc::{Controllers, Peers},
    lease::Lease,
    partition::{Replica, read::DiskReads, tail::TailCache},
    replication::{FetchQueues, Proposals},
    state::State,
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
