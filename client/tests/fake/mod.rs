//! Brokers on loopback that share one state, speak the real services, check sequences as a leader does, and fail as told.
//!
//! Faults are scripted: each request takes the next one from its queue. Delays are gates that the test opens, never
//! sleeps.
//!
//! - `cluster`: the state that they share, and the faults. `log`: one partition. `services`, `admin`: what a broker
//!   answers.

mod admin;
mod cluster;
mod log;
mod services;

pub(crate) use cluster::{FakeCluster, FetchFault, Inner, ProduceFault, State};
pub(crate) use log::FakePartition;
