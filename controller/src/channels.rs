//! Connections to other controllers, one an address and purpose. How they are made and given up: [`Connector`].
//!
//! Place: `raft` calls over them, [`crate::peers`] asks over them, `grpc` sends administration on over them.

use std::time::Duration;

use holdfast_net::Connector;

/// Pings of a connection, and their deadline: a controller that vanished silently is given up after two seconds,
/// sooner than by others, for its place may be taken. Calls in between end by their own deadlines.
const PING: Duration = Duration::from_secs(1);

/// What a connection is for: a snapshot must not delay heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Votes, heartbeats, log entries, forwarded calls.
    Calls,
    /// Snapshots: many megabytes, in messages of 1 MiB.
    Bulk,
}

/// The connections of this controller.
pub type Channels = holdfast_net::Channels<Purpose>;

/// None yet; each is made when it is first used.
pub(crate) fn channels() -> Channels {
    Channels::new(Connector { ping_interval: PING, ping_timeout: PING, ..Connector::default() })
}
