//! Calls to other nodes: tonic as caller.
//!
//! - `other_nodes`: other nodes as the services need them.
//! - `channels`: connections to brokers and controllers; `plain`: plain records sent on to the broker that leads.
//! - `relays`: calls that are passed on unread, with `relayed`, their answers.
//! - `controllers`: calls to the active controller, with the rule of [`retry`]; `admin`: those of administration;
//!   `header`: who calls.
//! - `session`: the stream of heartbeats and metadata, with the rule of [`heartbeats`], behind `registering`; `registered`:
//!   whose registration counts where it is refused, with the rule of [`older`].
//! - `fetcher` with `incoming` and `unreached`: as a follower, records from leaders, and a word where one is not at its
//!   address. `proposer`: as a leader, ISR changes. `distrusts`: which replicas this broker does not vouch for;
//!   `comparisons`: as a leader, digests of followers, and before a replica begins again whether its leader is there;
//!   `handover`: leaderships that
//!   it gives away where it cannot say so yet.

mod admin;
mod channels;
mod comparisons;
mod controllers;
mod distrusts;
mod fetcher;
mod handover;
mod header;
pub mod heartbeats;
mod incoming;
pub mod older;
mod other_nodes;
mod plain;
mod proposer;
mod registered;
mod registering;
mod relayed;
mod relays;
pub mod retry;
mod session;
mod unreached;

pub use channels::Peers;
pub(crate) use comparisons::{Answer as CompareAnswer, Held, Question, ask as ask_to_compare, wait_for_leader};
pub use controllers::{Controllers, ShutdownProgress};
pub(crate) use distrusts::run as run_distrusts;
pub(crate) use fetcher::run as run_fetchers;
pub(crate) use handover::ask as ask_for_leaders;
pub(crate) use other_nodes::other_nodes;
pub(crate) use proposer::{MAX_CHANGES, propose, run as run_proposer};
pub use relays::Relays;
pub(crate) use session::run as run_session;
