//! The controller of Holdfast: one node of the metadata quorum.
//!
//! ```text
//!   grpc ──▶ node (propose, read, role) ──▶ raft ──▶ store (RocksDB)
//!    ▲           ▲                           │
//!    │        actors (sessions, fencing)     ▼
//!    └── metadata stream ◀── view ◀── state machine ◀── holdfast-metadata (pure)
//! ```
//!
//! - [`config`], [`exit`], [`health`], [`metrics`]: options, exit codes, what probes and Prometheus are told.
//! - [`identity`], [`formation`], `quorum`: who this controller is, how the first cluster forms, who votes. [`lineage`]:
//!   whether another is who it was.
//! - [`channels`], [`peers`]: connections to the other controllers, and questions to the configured ones.
//! - [`store`], [`raft`], [`view`]: the disk, the consensus, the applied image.
//! - [`node`], `activity`: whether this controller is active. [`admission`], [`sessions`], `duties`, `actors`: what it decides
//!   then. `grpc`: the edge.
//! - [`clocks`]: whose wall clock is right. [`damaged`]: replicas that go on though they are damaged. `agreement`: what each
//!   controller supports, and whether all made the same of the log. `recent`: the last changes.
//!   `listing`: long lists in words.
//! - [`controller`]: all of it, running. [`recover`]: the last resort, on the folder of a stopped one; `rivals`: two of these.

mod activity;
mod actors;
pub mod admission;
mod agreement;
pub mod channels;
pub mod clocks;
pub mod config;
pub mod controller;
mod duties;
pub mod exit;
pub mod formation;
mod grpc;
pub mod health;
pub mod identity;
pub mod lineage;
mod listing;
pub mod metrics;
pub mod node;
pub mod peers;
pub mod quorum;
pub mod raft;
mod recent;
pub mod recover;
mod rivals;
pub mod said;
pub mod sessions;
pub mod store;
#[cfg(test)]
mod test_support;
pub mod view;

pub use controller::{Controller, run};
