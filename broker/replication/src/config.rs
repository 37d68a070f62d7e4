//! Settings of a replica, and the state that it starts from.

use holdfast_proto::ids::{BrokerId, Offset};

use crate::log::{epoch::EpochChain, producer::ProducerTable};

/// Settings that are the same for every replica of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// The broker that holds the replica: which part of an assignment is its own.
    pub broker_id: BrokerId,
    /// A follower that has not reached the leader's log end for longer than this leaves the ISR, ms. Too low: a pause
    /// of a disk shrinks the ISR. Too high: produces wait that long for a follower that hangs.
    pub replica_lag_time_max_ms: u64,
    /// How many produces may wait for their answer; one more is refused with OVERLOADED.
    pub max_pending_produces: usize,
    /// Longest time that a produce may wait, whatever it asks for, ms.
    pub max_produce_wait_ms: u64,
    /// How long a follower at the log end waits to be told a new high watermark when nothing is appended, ms. Too low:
    /// one more message per produce and follower at low rates. Too high: after a fail-over more has to be confirmed
    /// again before consumers may read.
    pub hw_notify_ms: u64,
    /// After this a fetch that waits at the log end is answered though nothing is there, ms: a word that got lost between
    /// the two brokers is missed for no longer. A follower asks again when it has waited twice as long.
    pub parked_fetch_max_ms: u64,
    /// First pause before a failed fetch is tried again, ms; doubles up to `fetch_backoff_max_ms`.
    pub fetch_backoff_ms: u64,
    /// Longest pause before a failed fetch is tried again, ms.
    pub fetch_backoff_max_ms: u64,
    /// Pause before a refused or failed ISR proposal is tried again, ms.
    pub isr_backoff_ms: u64,
    /// After this an unanswered ISR proposal counts as failed with unknown outcome, ms. The shell's own deadline should
    /// be shorter; this one is for an answer that got lost.
    pub isr_proposal_timeout_ms: u64,
    /// A follower outside the ISR whose log begins later than its leader's stops after this, ms, and is copied again. Too low:
    /// a replica is copied though the leader's next look at what is too old would have explained where it begins. Too high:
    /// the partition lacks it for as long.
    pub late_start_max_ms: u64,
}

impl ReplicaConfig {
    /// The defaults, for this broker.
    pub const fn new(broker_id: BrokerId) -> Self {
        Self {
            broker_id,
            replica_lag_time_max_ms: 10_000,
            max_pending_produces: 10_000,
            max_produce_wait_ms: 60_000,
            hw_notify_ms: 500,
            parked_fetch_max_ms: 30_000,
            fetch_backoff_ms: 20,
            fetch_backoff_max_ms: 1_000,
            isr_backoff_ms: 500,
            isr_proposal_timeout_ms: 10_000,
            late_start_max_ms: 600_000,
        }
    }
}

/// What a replica knows when it starts: all of it from its disk, all of it durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaState {
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// End of the log.
    pub log_end_offset: Offset,
    /// High watermark checkpoint: the true one is not lower.
    pub high_watermark: Offset,
    /// Leaderships in the log.
    pub epochs: EpochChain,
    /// Producers in the log.
    pub producers: ProducerTable,
}
