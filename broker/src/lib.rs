//! The broker of Holdfast: partition replicas as actors round a pure core, their logs on disk, and gRPC for clients and
//! other brokers.
//!
//! ```text
//!  clients ──▶ grpc/ ──▶ services/ ──▶ actors/partition ──▶ holdfast-replication (pure core: what to do)
//!  brokers ◀─▶ grpc/replica, grpc/fetcher ◀─▶    │
//!  controllers ◀─▶ grpc/session ──▶ actors/session └──▶ holdfast-log (threads that write and sync)
//! ```
//!
//! - [`broker`]: start and stop. [`safe_to_stop`]: what a rolling update waits for; `probes` answers with it. [`context`]: what the parts share. [`config`], [`exit`]: the program.
//! - [`partition`]: what an actor shares of its replica: view, tail cache, answers to followers.
//! - [`services`]: what clients may ask, free of any protocol. `grpc`: the edge, the only folder that knows tonic.
//! - [`actors`]: the only folder that knows actix. [`replication`]: what flows between brokers.
//!
//! Invariants: (1) an answer to a producer is an effect of the core, never decided here; (2) nothing blocks a thread of
//! the actors or of the edge: writes and syncs run on the log writer's threads, reads on blocking threads; (3) every
//! queue has a bound, see [`config`].

pub mod actors;
mod assignment;
pub mod broker;
pub mod clock;
pub mod config;
pub mod context;
pub mod exit;
mod grpc;
pub mod lease;
mod leaving;
mod maintenance;
pub mod partition;
mod probes;
pub mod recovery;
pub mod replication;
pub mod safe_to_stop;
pub mod services;
pub mod state;
