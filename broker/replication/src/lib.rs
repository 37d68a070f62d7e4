//! Pure core of one partition replica.

pub mod config;
pub mod effect;
pub mod epoch;
pub mod event;
pub mod invariant;
pub mod producer;
pub mod view;

mod follower;
mod follower_progress;
mod high_watermark;
mod isr;
mod leader;
mod leader_fetch;
mod leader_isr;
mod leader_produce;
mod local_log;
mod pending;
mod replica;
mod turn;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod scenarios;

pub use config::{ReplicaConfig, ReplicaState};
pub use effect::{Effect, FetchReply, Produced};
pub use epoch::{EpochChain, EpochEntry};
pub use event::{
    Acks, Assignment, BatchInfo, Event, FetchOutcome, FetchPosition, FlushPolicy, LogGeneration, PlacedBatch,
    ProduceToken,
};
pub use producer::{ProducerEntry, ProducerTable, RememberedBatch, Verdict};
pub use replica::Replica;
pub use view::{FollowerView, RoleView};
