//! The consensus of the controllers: openraft with its log on disk, its state in memory, its network over gRPC.
//!
//! Place: the rest of the controller sees [`Consensus`], [`Members`] and [`Role`]; `grpc` hands in what other controllers
//! send. openraft's types stay in here.
//!
//! - `consensus`: the facade. `role`: who leads, and when it was heard. `members`: who takes part, read and changed.
//! - `types`: what openraft is told. `log_store` over `log_cache`: the log; `trimmer` over `log_sizes` keeps it short.
//!   `state_machine`: the image. `applying`: what an entry does to it. `codec`: what stands on disk, as bytes. `halt`: why the
//!   metadata ends this controller. `survivor`: the store of a controller that is stopped, read, and made to go on alone.
//! - `network`: calls to others. `address_book` behind `reach`: at which addresses. `inbound`: calls from others.
//!   `envelope`: who speaks to whom. `lineages`: whether that is who it was, or a copy.

mod address_book;
mod applying;
mod codec;
mod consensus;
mod envelope;
mod halt;
mod inbound;
mod lineages;
mod log_cache;
mod log_sizes;
mod log_store;
mod members;
mod network;
mod open_entries;
mod reach;
mod role;
mod state_machine;
mod survivor;
mod trimmer;
mod types;

#[cfg(test)]
mod suite_tests;

pub use address_book::Sighting;
pub use consensus::{Consensus, Error};
pub use envelope::MAX_MESSAGE_BYTES;
pub use halt::Halt;
pub use inbound::{Inbound, IncomingSnapshot};
pub use lineages::{BindError, Lineages};
pub use log_store::LogStore;
pub use members::{Change, Member, Members};
pub use network::Network;
pub use open_entries::{OpenEntries, OpenEntry, Weight};
pub use reach::Reach;
pub use role::{Contact, Role, watch_role};
pub use state_machine::StateMachine;
pub use survivor::{Survivor, Voice};
pub use trimmer::keep_short;
pub use types::log_filter;

pub(crate) use consensus::{command_bytes, not_controller};
pub(crate) use lineages::{Refused, Sender};
