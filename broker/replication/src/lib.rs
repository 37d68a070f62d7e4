//! Holdfast's replication core: one replica of one partition, leader or follower, as a function of state, time and event.
//!
//! Place: the broker's partition actor owns a [`Replica`], feeds it [`Event`]s with the time, and executes the
//! [`Effect`]s in order. No IO, clock, lock, chance or task is in here, and none can come in: the crate depends on the
//! vocabulary alone.
//!
//! ```text
//!   produce, fetch, flush, metadata, time ── Event ──▶ Replica::step ── Effect ──▶ log, peers, producers, controller
//! ```
//!
//! The promise that is kept here: **an acknowledged record is on the disks of min.insync.replicas replicas, and on those
//! of everyone who may be elected**. It rests on these rules; `invariant` states what is checked after each step.
//! - The high watermark is the lowest *durable* end over the maximal ISR, and stands still below the minimum
//!   (`leader::high_watermark`, `leader::isr`).
//! - An end counts only after the log was found to lie on the leader's, in this epoch (`leader::fetch`,
//!   `leader::progress`).
//! - Logs are cut by leader epochs, never by high watermarks, and never below one (`log::epoch`, `follower`).
//! - No epoch is led twice (`replica`).
//! - An answer to a producer is an effect of the step in which its condition came true (`leader::produce`, `leader::pending`).
//!
//! # Layout
//! - `event`, `effect`, `config`, `view`: what goes in, what comes out, settings, queries. `answer`: what goes from a
//!   leader to a follower.
//! - `replica`: fences and routes; `leader` and `follower` decide. `turn`: what a role works with in one step.
//! - `log`: batches, epochs, producers and cursors of the own log.
//! - `invariant`: what must hold.
//!
//! What it does not do: it holds no record's bytes, and it never decides who leads.

pub mod answer;
pub mod config;
pub mod effect;
pub mod event;
pub mod invariant;
pub mod log;
pub mod view;

mod follower;
mod leader;
mod replica;
mod turn;

#[cfg(test)]
mod bench;

pub use answer::{FetchAnswer, FetchOutcome, FetchReply};
pub use config::{ReplicaConfig, ReplicaState};
pub use effect::{Effect, Produced};
pub use event::{Acks, Assignment, Event, FetchPosition, FlushPolicy, Frozen, ProduceToken};
pub use follower::BEGINS_LATE;
pub use log::{
    batch::{BatchInfo, LogGeneration, PlacedBatch},
    epoch::{EpochChain, EpochEntry},
    producer::{BatchVerdict, ProducerEntry, ProducerTable, RememberedBatch},
};
pub use replica::Replica;
pub use view::{FollowerView, RoleView};
