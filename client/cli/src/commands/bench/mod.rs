//! `holdfast bench`: how fast a cluster is, and how it behaves when a leader is killed.

mod command;
mod consume;
mod failover;
mod latency;
mod produce;
mod setup;
mod stats;

pub use command::{BenchArgs, run};
