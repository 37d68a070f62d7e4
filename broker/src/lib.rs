//! The broker of Holdfast: partition replicas as actors round a pure core, their logs on disk, and gRPC for clients and
//! other brokers.
//!
//! ```text
//!  clients ──▶ grpc/ ──▶ services/ ──▶ actors/partition ──▶ holdfast-replication (pure core: what to do)
//!  brokers ◀─▶ grpc/replica, outward/fetcher ◀─▶    │
//!  controllers ◀─▶ outward/session ──▶ actors/session └──▶ holdfast-log (threads that write and sync)
//! ```
//!
//! - [`metrics`]: what Prometheus is told.
//! - [`life`]: start and stop. [`here`]: what the broker knows of itself. [`config`], [`exit`]: the program.
//! - [`partition`]: what a replica shares between its actor, the services and the log; which replicas to hold.
//! - [`outbox`]: what waits to be told to other nodes, the latest word of each partition.
//! - [`services`]: what clients may ask, free of any protocol. `grpc`: tonic as server. [`outward`]: tonic as caller.
//!   `messages`: what both say the same way.
//! - [`actors`]: the only folder that knows actix.
//!
//! Invariants: (1) an answer to a producer is an effect of the core, never decided here; (2) nothing blocks a thread of
//! the actors or of the edge: writes and syncs run on the log writer's threads, reads on blocking threads; (3) every
//! queue has a bound, see [`config`].

pub mod actors;
pub mod config;
pub mod exit;
mod grpc;
pub mod here;
pub mod life;
mod messages;
pub mod metrics;
pub mod outbox;
pub mod outward;
pub mod partition;
pub mod services;
