//! The gRPC edge: the only folder that knows tonic. It turns messages into calls of the services and back.
//!
//! Towards clients: `producer`, `consumer`, `admin`. Towards brokers: `replica` (as leader), `fetcher` (as follower).
//! Towards controllers: `controllers` (calls), `session` (the stream), `proposer` (ISR changes). `server` serves both
//! ports.

mod admin;
mod channels;
mod consumer;
mod controllers;
mod fetcher;
mod producer;
mod proposer;
mod relay;
mod replica;
mod server;
mod session;

pub(crate) use channels::Peers;
pub(crate) use controllers::Controllers;
pub(crate) use fetcher::run as run_fetchers;
pub(crate) use proposer::run as run_proposer;
pub(crate) use server::{Listeners, Servers};
pub(crate) use session::run as run_session;

/// Largest message between nodes, and to clients: several batches, or the metadata of a large cluster.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Largest message of a client: the largest batch and room for what is round it. What a stream may have in work is at
/// least this, so that one request alone always fits.
const MAX_REQUEST_BYTES: usize = 17 * 1024 * 1024 - 64 * 1024;

/// Largest HTTP/2 frame: large ones cost fewer steps for the same bytes.
const MAX_FRAME_BYTES: u32 = 1024 * 1024;

/// Largest list of headers of one call.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
