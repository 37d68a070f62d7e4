//! The consensus of the controllers: openraft with its log on disk, its state in memory, its network over gRPC.
//!
//! Place: `node` starts it and proposes commands; `grpc` hands in what other controllers send. openraft's types stay
//! in here and in `node`.
//!
//! - [`types`]: what openraft is told. `log_store`, `log_cache`: the log. `state_machine`, `snapshot`: the image.
//! - `members`: who takes part, read and changed. `contact`: when the leader was heard.
//! - `network`, `channels`: calls to others. `inbound`, `envelope`: calls from others.

mod channels;
mod codec;
mod contact;
mod envelope;
mod inbound;
mod log_cache;
mod log_store;
mod members;
mod network;
mod settings;
mod snapshot;
mod state_machine;
pub mod types;

#[cfg(test)]
mod suite_tests;

pub use channels::{Channels, Purpose};
pub use contact::Contact;
pub use envelope::MAX_MESSAGE_BYTES;
pub use inbound::{Inbound, IncomingSnapshot};
pub use log_store::LogStore;
pub use members::{Change, Members};
pub use network::Network;
pub use settings::{log_filter, settings};
pub use state_machine::StateMachine;
pub use types::{Raft, TypeConfig};
