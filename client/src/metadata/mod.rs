//! What the client knows of the cluster: brokers, topics, leaders.
//!
//! Place: producer, consumer and administration look leaders up here and report what turned out wrong; one task per
//! client asks the brokers.
//!
//! Invariants:
//! 1. One refresh is in flight at most, for all callers together, and two begin at least `metadata_min_interval`
//!    apart: a thousand not-leader answers make one request, not a thousand.
//! 2. What is known never goes back: an answer with an older index than the known one changes nothing, and a leader is
//!    replaced by one of a newer leader epoch only (KIP-951 hints included).
//! 3. A node of another cluster is never believed.
//!
//! Failure: a refresh asks one broker after another, then the bootstrap list; a silent one holds it up only briefly,
//! the next is asked meanwhile. While nobody answers, the old view stands and the task tries again with pauses.

mod handle;
mod refresh;
mod view;
mod wanted;

pub(crate) use handle::Metadata;

pub use view::{Broker, ClusterView, Leader, PartitionView, TopicView};
