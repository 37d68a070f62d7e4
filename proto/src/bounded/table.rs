//! What the requests may hold, in entries of each repeated field. Pure.
//!
//! Invariant: every repeated field that a request can hold stands here; a test walks the descriptors for it.

use super::count::{Bounds, Entries};
use crate::limits::MAX_REQUEST_PARTITIONS as PARTITIONS;

/// Partitions or topics of a whole cluster: a broker may follow all, and a client may know all.
const WHOLE_CLUSTER: usize = 50_000;
/// Records in one plain call.
const RECORDS: usize = 10_000;
/// Headers of all records of one plain call: what is built of them is not larger than the largest request.
const HEADERS: usize = 250_000;
/// Changes of partitions in one request of a broker or an operator.
const CHANGES: usize = 10_000;
/// Replicas that are named by all changes of one request.
const REPLICAS: usize = 150_000;
/// Tokens of a folder that a broker may show: the last, and those of which the answer was lost.
const TOKENS: usize = 32;
/// Starts of controllers in one message between them: 64 of the sender, and the last of each of 64 others.
const BOOTS: usize = 128;
/// Settings in one request: many times what a topic has.
const SETTINGS: usize = 1_000;
/// Replicas that a heartbeat names because they cannot be opened: the first hundred, with room for later builds.
const UNOPENED: usize = 1_000;
/// Brokers or controllers that a request names.
const NODES: usize = 10_000;

/// Bytes of a produce beside its batch: the batch is kept for a while, and the whole message with it.
const BESIDE_BATCH_BYTES: usize = 4_096;

/// What a message may hold by its name; nothing for those that are no requests, which come from nodes that were chosen.
pub fn bounds(message: &str) -> Bounds {
    let entries: &[Entries] = match message {
        "ProduceRecordsRequest" => {
            const { &[Entries::of(3, "records", RECORDS), Entries::within(3, 3, "records.headers", HEADERS)] }
        }
        "FetchRequest" => const { &[Entries::of(2, "partitions", PARTITIONS)] },
        "ListOffsetsRequest" => const { &[Entries::of(1, "queries", PARTITIONS)] },
        "FetchReplicaRequest" => const { &[Entries::of(3, "positions", WHOLE_CLUSTER)] },
        "AlterPartitionsRequest" => {
            const { &[Entries::of(4, "changes", CHANGES), Entries::within(4, 5, "changes.new_isr", REPLICAS)] }
        }
        "RegisterBrokerRequest" => {
            const {
                &[
                    Entries::of(12, "known_tokens", TOKENS),
                    Entries::of(14, "topics", WHOLE_CLUSTER),
                    Entries::within(14, 2, "topics.replicas", WHOLE_CLUSTER),
                ]
            }
        }
        "BrokerSessionRequest" => const { &[Entries::within(11, 3, "unopened.first", UNOPENED)] },
        "DistrustReplicasRequest" => const { &[Entries::of(4, "replicas", CHANGES)] },
        "AppendEntriesRequest" | "RequestVoteRequest" | "InstallSnapshotRequest" | "TransferLeaderRequest" => {
            const { &[Entries::within(1, 4, "envelope.boots", BOOTS)] }
        }
        "GetFormationRequest" => const { &[Entries::of(3, "peers", NODES), Entries::of(4, "boots", BOOTS)] },
        "GetMetadataRequest" => {
            const { &[Entries::of(1, "topics", WHOLE_CLUSTER), Entries::of(4, "topic_ids", WHOLE_CLUSTER)] }
        }
        "CreateTopicRequest" => const { &[Entries::of(4, "configs", SETTINGS)] },
        "AlterTopicRequest" => const { &[Entries::of(2, "configs", SETTINGS)] },
        "PlanMovesRequest" => const { &[Entries::of(1, "drain_brokers", NODES).packed()] },
        "AlterReplicasRequest" => {
            const {
                &[
                    Entries::of(1, "moves", CHANGES),
                    Entries::within(1, 3, "moves.old_replicas", REPLICAS).packed(),
                    Entries::within(1, 4, "moves.new_replicas", REPLICAS).packed(),
                ]
            }
        }
        _ => &[],
    };
    match message {
        "ProduceRequest" => Bounds { entries, beside: Some((8, "batch", BESIDE_BATCH_BYTES)) },
        _ => Bounds { entries, beside: None },
    }
}
