//! The gRPC edge: the only place of tonic but for the consensus' own calls. Translates, checks, and answers.
//!
//! - [`server`]: the port and its limits.
//! - `controller_service`, `session`: for brokers. `admin_service`, `admin_read`, `admin_moves`,
//!   `forward`: for operators.
//! - `raft_service`: for other controllers. `records`: the view as it travels.

mod admin_moves;
mod admin_read;
mod admin_service;
mod controller_service;
mod forward;
mod raft_service;
mod records;
pub(crate) mod server;
mod session;
