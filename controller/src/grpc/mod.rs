//! The gRPC edge: the only place that uses tonic, besides the consensus' own calls. Translates, checks, and answers.
//!
//! - [`server`]: the port and its limits.
//! - `admin`: for operators and clients.
//! - `controller_service`, with `sessions`: for brokers. `records`: the view as it travels to them.
//! - `raft_service`: for other controllers. `answer`: answers that fit no question.

mod admin;
mod answer;
mod controller_service;
mod raft_service;
mod records;
pub(crate) mod server;
mod sessions;
