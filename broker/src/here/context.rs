//! What the parts of one broker share. Made once at start, passed on explicitly; there is no global.

use std::sync::Arc;

use holdfast_log::{DataDir, LogWriter};

use super::{
    clock::Clock,
    identity::{Addresses, Identity},
    lease::Lease,
    metadata::Metadata,
    partitions::Partitions,
    state::State,
};
use crate::{
    config::Config,
    outbox::{FetchQueues, Proposals},
    outward::{Controllers, Peers},
    partition::{read::DiskReads, tail::TailCache},
};

/// Everything that is one broker.
pub struct Context {
    /// Its settings.
    pub config: Config,
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
