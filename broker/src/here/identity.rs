//! Who this broker is, and where others reach it.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use holdfast_log::DataDir;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, ClusterId, IncarnationId};

/// Where others reach a broker, `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where clients reach it.
    pub client: String,
    /// Where brokers and controllers reach it.
    pub peer: String,
}

/// Who a broker is, in every call between nodes.
#[derive(Debug)]
pub struct Identity {
    /// Its id, the same over all starts.
    pub broker_id: BrokerId,
    /// Names this start of the process.
    pub incarnation_id: IncarnationId,
    /// Number of starts on this data folder, this one included.
    pub boot_counter: u64,
    /// Where others reach this start.
    pub addresses: Addresses,
    cluster_id: OnceLock<ClusterId>,
    broker_epoch: AtomicU64,
}

impl Identity {
    /// The identity of a start that is not registered yet.
    pub fn new(broker_id: BrokerId, incarnation_id: IncarnationId, addresses: Addresses, data_dir: &DataDir) -> Self {
        let cluster_id = data_dir.cluster_id().map_or_else(OnceLock::new, OnceLock::from);
        let boot_counter = data_dir.boot_counter();
        let broker_epoch = AtomicU64::new(0);
        Self { broker_id, incarnation_id, boot_counter, addresses, cluster_id, broker_epoch }
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

    /// The controllers gave this start a broker epoch.
    pub fn registered(&self, broker_epoch: BrokerEpoch) {
        self.broker_epoch.store(broker_epoch.0, Ordering::Release);
    }
}
