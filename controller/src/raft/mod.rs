//! The consensus of the controllers: openraft with its log on disk, its state in memory, its network over gRPC.
//!
//! Place: the rest of the controller sees [`Consensus`], [`Members`] and [`Role`]; `grpc` hands in what other controllers
//! send. openraft's types stay in here.
//!
//! - `consensus`: the facade. `role`: who leads. `refusal`: what a proposer is told. `members`: who takes part, read and
//!   changed. `contact`: when the leader was heard.
//! - `types`, `settings`: what openraft is told. `log_store`, `log_cache`: the log. `state_machine`, `snapshot`: the image.
//! - `network`: calls to others. `inbound`, `envelope`: calls from others. `codec`: entries as bytes.

mod codec;
mod consensus;
mod contact;
mod envelope;
mod inbound;
mod log_cache;
mod log_store;
mod members;
mod network;
mod refusal;
mod role;
mod settings;
mod snapshot;
mod state_machine;
mod types;

#[cfg(test)]
mod suite_tests;

pub use consensus::{Consensus, Error, Member};
pub use contact::Contact;
pub use envelope::MAX_MESSAGE_BYTES;
pub use inbound::{Inbound, IncomingSnapshot};
pub use log_store::LogStore;
pub use members::{Change, Members};
pub use network::Network;
pub use role::{Role, watch_role};
pub use settings::log_filter;
pub use state_machine::StateMachine;

pub(crate) use refusal::not_controller;
