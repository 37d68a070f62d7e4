//! What happens to a replica: the input of [`crate::Replica::step`].

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};

use crate::{
    answer::FetchOutcome,
    log::{
        batch::{BatchInfo, LogGeneration},
        producer::ProducerTable,
    },
};

/// Names one waiting produce of this replica; chosen by the shell, unique while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProduceToken(pub u64);

/// When a produce is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// acks=0: the producer wants no answer. Nothing is promised.
    None,
    /// acks=1: when the leader has it, in the sense of the topic's flush policy.
    Leader,
    /// acks=all: when the high watermark has passed it.
    All,
}

/// State of the partition as the controller committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Epoch of that leadership.
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes of this state.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas in the controller's order, leader and those of a move included.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas, the leader included.
    pub isr: Vec<BrokerId>,
    /// Effective min.insync.replicas: never above the number of assigned replicas.
    pub min_insync_replicas: u32,
    /// What counts towards the high watermark.
    pub flush_policy: FlushPolicy,
    /// Whether the controllers keep the high watermark at which the partition stands while its ISR is too small.
    pub frozen: Frozen,
}

/// What the controllers know of where the high watermark stands while the ISR is too small to acknowledge more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frozen {
    /// They do not keep it: an older metadata version is finalised.
    #[default]
    NotKept,
    /// They keep this; `None`: no leader has said it yet.
    Kept(Option<Offset>),
}

/// What counts towards the high watermark (topic key `flush.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushPolicy {
    /// The flushed end: fsync before the ack. The default.
    #[default]
    Ack,
    /// The appended end, as in Kafka: a power loss everywhere can lose acknowledged records.
    Interval,
}

/// Where a follower stands, as its fetch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// Leader epoch that the follower follows.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch of the state that the follower had when it told this: a replica that was taken away and given
    /// back within one leader epoch begins again, empty, and what its former log held says nothing of the new one.
    pub partition_epoch: PartitionEpoch,
    /// Its log end offset.
    pub fetch_offset: Offset,
    /// Offset after what the follower has flushed; at or below `fetch_offset`.
    pub flushed_offset: Offset,
    /// Leader epoch of its last record; `None` if its log is empty.
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// Where its log begins; `None`: a build from before this was told.
    pub log_start_offset: Option<Offset>,
    /// True if it asks for one answer; false if it only tells its durable end.
    pub wants_records: bool,
}

/// Something that happened. Every event is given with the time at which it is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The controller committed a state of this partition.
    AssignmentChanged(Assignment),
    /// Too many producers are remembered over all partitions: those go of which no retry can come any more.
    ExpireProducers,
    /// A producer's batch, checked by the edge (size, CRC, format).
    Produce {
        /// Names the produce in later effects.
        token: ProduceToken,
        /// What the answer waits for.
        acks: Acks,
        /// Leader epoch that the client believes current.
        leader_epoch: Option<LeaderEpoch>,
        /// What the core has to know of the batch; its bytes stay with the shell.
        batch: BatchInfo,
        /// How long the answer may wait, ms.
        timeout_ms: u64,
    },
    /// A follower told its position.
    ReplicaFetch {
        /// The broker that follows.
        from: BrokerId,
        /// Broker epoch under which it fetches: a later ISR proposal names it (KIP-903).
        broker_epoch: BrokerEpoch,
        /// Ends of its log and the epochs that it knows.
        position: FetchPosition,
    },
    /// The connection of a follower's fetch stream ended: forget its parked fetch.
    ReplicaDisconnected {
        /// The broker whose stream ended.
        from: BrokerId,
    },
    /// The leader answered this follower's fetch. Each `SendFetch` that wants records is followed by exactly one of
    /// these: if the stream broke or a deadline passed, by `Failed`, and then the late answer is not delivered.
    FetchResponse {
        /// The leader that answered.
        from: BrokerId,
        /// Epoch of its leadership. Not looked at if the outcome is `Failed`.
        leader_epoch: LeaderEpoch,
        /// Batches, where to cut or to start over, or why there is no answer.
        outcome: FetchOutcome,
    },
    /// The log is durable up to `offset`. Carries the generation of the appends, see [`crate::Effect::AppendProduced`].
    LogFlushed {
        /// Generation of the log that the flush belongs to: one offset can be written twice.
        generation: LogGeneration,
        /// Offset after the last durable record; does not pass the log end of that generation.
        offset: Offset,
    },
    /// A truncation (or a start over) is done, and the whole log that is left is durable: what was appended before it
    /// and still stands is durable with it, for flushes reported in older generations no longer count. The producers
    /// are those of the log that is left.
    Truncated {
        /// Generation that the truncation began.
        generation: LogGeneration,
        /// Rebuilt from the log by the shell.
        producers: ProducerTable,
    },
    /// The log start offset moved (retention).
    LogStartChanged {
        /// The new log start offset.
        offset: Offset,
    },
    /// A write or fsync of this replica's log failed: final.
    StorageFailed,
    /// The controller answered a proposal, or did not within the shell's deadline (REQUEST_TIMED_OUT).
    IsrProposalResult {
        /// Leader epoch of the proposal.
        leader_epoch: LeaderEpoch,
        /// Partition epoch that the proposal started from.
        partition_epoch: PartitionEpoch,
        /// The committed state, or why not.
        result: Result<Assignment, ErrorCode>,
    },
    /// The broker's lease on its session ended: it may have been fenced without knowing.
    SessionLost,
    /// Nothing but the time: what has become due is done.
    Tick,
}
