//! The consumer: from partitions and positions to messages.
//!
//! ```text
//!   router ── leaders ──▶ FetchLane (one per broker) ── FetchRequest ──▶ leader
//!                            │  ▲ who wants records, how much room         │
//!                            ▼  │                                          │
//!   caller ◀── Consumer ◀── Buffers (batches by partition) ◀── answers ────┘
//!              decodes, checks every offset
//! ```
//!
//! Invariants:
//! 1. Every offset from the starting position on is delivered once, in order, or an error says why not: a gap, a bad
//!    checksum, an offset out of range. Nothing is skipped silently and no position is reset silently.
//! 2. After an error its partition stands still until [`Consumer::seek`]; the others go on.
//! 3. Batches in memory and those asked for take up at most `prefetch_bytes`, in equal shares for the brokers that lead a
//!    partition (one batch larger than a share is taken alone). So no broker's partitions starve those of another, and no
//!    partition starves those of its broker: see `buffers.rs`.
//! 4. An answer to a request that was overtaken by a seek or by a new leader is not used.
//!
//! Failure: lost connections and new leaders are followed without an error, from the same position.

mod adding;
mod buffers;
mod builder;
mod error;
mod handle;
mod lane;
mod lane_task;
mod message;
mod partition;
mod router;
mod shared;
mod start;

pub use builder::ConsumerBuilder;
pub use error::Error;
pub use handle::Consumer;
pub use message::{Message, MessageBatch};
pub use start::StartAt;
