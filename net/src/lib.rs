//! How every process of Holdfast connects to another: brokers, controllers, clients and tools alike.
//!
//! - [`Connector`]: the one place that says how a connection is made and when it is given up.
//! - [`Channels`]: the connections of a process, by address and purpose.
//! - [`jitter`]: what is cut by chance, so that many do not do the same thing at the same moment.
//! - [`backoff`]: the pauses between attempts. Pure.
//!
//! Place: below `holdfast-node` and `holdfast-client`. It is a crate of its own, and no module of `holdfast-node`, for
//! the client library needs it too, and an application must not compile a server's settings, probes and signals to send
//! records. Nor is it a part of `holdfast-proto`, which pure cores use. Invariant: nothing here knows who calls whom, or
//! which messages travel; what differs is passed in.

pub mod backoff;
mod channels;
mod connector;
pub mod jitter;

pub use channels::Channels;
pub use connector::{Connector, Error, Windows};
