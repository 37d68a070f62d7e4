//! What the broker does for clients, free of any protocol: a second listener beside gRPC can call the same services.
//!
//! - `all`: the services of one broker, made once. `caller`: who asks, in every call. `hop`: how far a call has come.
//!   `other_nodes`: what they ask of other nodes.
//! - `admin`: topics, moves of replicas, the state of the cluster.
//! - `lookup`: from a topic's name to the replica that is open here, or where else to go.
//! - `produce`: one batch for one partition; `produce_budget`: bytes of all that are in work. `plain` (with `plain_records`): records without a batch, for any client.
//!   `ordered`: answers of one stream in order per partition.
//! - `fetch` (with `fetched`): batches below the high watermark, with a wait that polls nothing. `plain_fetch` (with
//!   `plain_fetched`): single records out of them. `offsets` (with `found_offsets`): offsets by time;
//!   `served`: whether leaders serve yet.
//! - `producer_ids`: ids for idempotent producers, out of blocks that the controller gives.

pub mod admin;
pub mod all;
pub mod caller;
pub mod fetch;
pub mod fetched;
pub mod found_offsets;
pub mod hop;
pub mod lookup;
pub mod offsets;
pub mod ordered;
pub mod other_nodes;
pub mod plain;
pub mod plain_fetch;
pub mod plain_fetched;
pub mod plain_records;
pub mod produce;
pub mod produce_budget;
pub mod producer_ids;
mod served;
