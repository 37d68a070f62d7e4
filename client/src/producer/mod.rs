//! The producer: from a record to an acknowledged offset.
//!
//! ```text
//!  caller ── Producer ──▶ PartitionQueue ◀── Outbound ──▶ Produce stream ──▶ leader
//!            memory        open batch         builds, stamps   one per broker     │
//!            bound         closed batches ◀── Lane ◀──────────────────────────────┘ answers
//!            router: leaders, time limits      flights
//! ```
//!
//! A record is encoded straight into the open batch of its partition, under one short lock. The stream to the leader
//! takes batches when it can send them, so that they grow while the network or the broker is slow. One completion per
//! batch tells all of its records' futures.
//!
//! Invariants:
//! 1. Nothing is dropped: every record that was accepted ends as *delivered*, *not appended* or *in doubt*.
//! 2. *Not appended* is said only if every attempt was answered so; one attempt without answer makes it *in doubt*.
//! 3. Records of one partition reach the log in the order in which they were accepted, each at most once (idempotent
//!    producer), and complete in that order.
//! 4. Memory for records that are not complete stays below `buffer_memory_bytes`; callers wait for room.
//!
//! Failure: retriable errors are retried until `delivery_timeout`; see [`batch_queue`] for what follows a batch that
//! finally failed.

mod acks;
mod batch_bytes;
pub(crate) mod batch_queue;
mod builder;
pub(crate) mod completion;
mod error;
mod handle;
mod identity;
mod lane;
mod lane_task;
mod limits;
mod memory;
mod outbound;
mod outcomes;
mod partition;
mod record;
mod renewal;
mod router;
mod shared;
mod topic;

pub use acks::Acks;
pub use batch_bytes::BATCH_BYTES_MAX;
pub use builder::ProducerBuilder;
pub use completion::{Delivery, DeliveryFuture};
pub use error::{Error, SizeLimit};
pub use handle::{CloseReport, Producer};
pub use record::Record;
pub use topic::TopicHandle;
