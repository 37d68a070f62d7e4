//! What the parts of one broker share. Made once at start, passed on explicitly; there is no global.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use holdfast_log::{DataDir, LogWriter};
use holdfast_metadata::trust::ReplicaReport;
use holdfast_proto::ids::Millis;

use super::{
    clock::Clock, identity::Identity, known_producers::KnownProducers, lease::Lease, metadata::Metadata,
    parked::Parked, partitions::Partitions, scrubbed::Scrubbed, state::BrokerState, streams::Streams,
    time_trust::TimeTrust, token::TokenRenewal,
};
use crate::{
    config::Config,
    outbox::{Distrusts, Positions, Proposals, streams::FollowerStreams},
    outward::{Controllers, Peers, Relays},
    partition::{
        answer_memory::AnswerMemory,
        findings::Findings,
        move_budget::MoveBudget,
        read::{BlockingReads, ReadShare},
        scrub_budget::ScrubBudget,
        tail::TailCache,
        unopened::Unopened,
    },
};

/// Everything that is one broker.
pub struct Context {
    /// The settings that it was started with.
    pub config: Config,
    /// Milliseconds since its start.
    pub clock: Clock,
    /// Who it is, and where others reach it.
    pub identity: Identity,
    /// How long it may believe that it is not fenced.
    pub lease: Lease,
    /// The cluster as far as it knows.
    pub metadata: Metadata,
    /// The replicas that are open here.
    pub partitions: Partitions,
    /// How it is doing.
    pub state: BrokerState,
    /// Whether a topic may have more idempotent producers.
    pub known_producers: KnownProducers,
    /// Where its records are.
    pub logs: Logs,
    /// What waits to be told to other nodes.
    pub outboxes: Outboxes,
    /// Memory for answers that tell metadata or offsets.
    pub metadata_answers: AnswerMemory,
    /// Requests of clients that fetch or look offsets up, which may take long, and are not answered.
    pub fetching: Parked,
    /// Those that ask for metadata: long fetches of thousands of clients keep nobody from finding a leader.
    pub asking: Parked,
    /// Streams of clients that are open.
    pub streams: Streams,
    /// What it says of its replicas when it registers: as this start found them. Set once they are recovered.
    pub reports: OnceLock<Vec<ReplicaReport>>,
    /// When it may end at the earliest so that another start looks at one of its replicas.
    pub may_end_at: Millis,
    /// Whether the wall clock is trusted.
    pub time_trust: Mutex<TimeTrust>,
    /// The token of its folder that is on its way to the controllers.
    pub token: TokenRenewal,
    /// What was found to be wrong with its replicas.
    pub findings: Arc<Findings>,
    /// Its replicas whose logs cannot be opened.
    pub unopened: Unopened,
    /// How fast its replicas are read again.
    pub scrub_budget: Arc<ScrubBudget>,
    /// How far they were.
    pub scrubbed: Scrubbed,
    /// What its replicas may copy for moves at the moment, all together.
    pub move_budget: Mutex<MoveBudget>,
    /// The other nodes that it calls.
    pub nodes: Nodes,
}

/// Where the records of all replicas are.
pub struct Logs {
    /// The folder that holds the logs; locked by this process.
    pub data_dir: Arc<DataDir>,
    /// The threads that write and sync them.
    pub writer: LogWriter,
    /// Recent batches, in memory.
    pub tail: Arc<TailCache>,
    /// What reads for consumers may take up.
    pub consumers: ReadShare,
    /// What reads for followers may take up.
    pub followers: ReadShare,
    /// What reads ranges again for leaders, at the rate of the scrub: one at a time.
    pub read_again: BlockingReads,
    /// What builds single records of whole batches, for plain reads: one batch at a time, for it may be many times as large
    /// when it is decompressed.
    pub single_records: BlockingReads,
    /// The same for look-ups by time, which may read through a segment.
    pub time_lookups: BlockingReads,
    /// What opens and closes them. A topic of a thousand partitions is a thousand of them at once: on a thread each
    /// they wait for each other in the folder that holds all, and who serves connections waits for a processor behind them.
    pub folders: BlockingReads,
    /// What opens those that the last resort goes on with, apart: each is read through, as long as the disk takes.
    pub salvages: BlockingReads,
    /// What deletes them, apart: large files take long, and no new partition waits for that.
    pub deletions: BlockingReads,
    /// Its blocking threads read logs, work on their folders and look into batches.
    pub runtime: tokio::runtime::Handle,
}

/// What waits to be told to other nodes.
pub struct Outboxes {
    /// Positions of followers, for the brokers that lead.
    pub positions: Positions,
    /// ISR changes, for the active controller.
    pub proposals: Proposals,
    /// The newest stream of each broker that follows.
    pub follower_streams: FollowerStreams,
    /// Replicas that this broker does not vouch for, for the active controller.
    pub distrusts: Distrusts,
}

/// Other nodes, as this broker calls them.
pub struct Nodes {
    /// The controllers of the settings, of which one is active.
    pub controllers: Arc<Controllers>,
    /// Other brokers, for calls of clients that are sent on.
    pub brokers: Arc<Peers>,
    /// Other brokers, for calls of clients that are passed on unread.
    pub relays: Relays,
}
