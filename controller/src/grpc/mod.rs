//! The gRPC edge: the only place that uses tonic, besides the consensus' own calls. Translates, checks, and answers.
//!
//! - [`server`]: the port and its limits.
//! - `admin`: for operators and clients.
//! - `controller_service`, with `sessions`: for brokers. `snapshots`: the whole state, encoded once for all of them.
//! - `raft_service`: for other controllers. `answer`: answers that fit no question.

mod admin;
mod answer;
mod controller_service;
mod raft_service;
pub(crate) mod server;
mod sessions;
mod snapshots;
