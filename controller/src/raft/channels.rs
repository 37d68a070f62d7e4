//! Connections to other controllers, one an address and purpose, made when they are first used.
//!
//! Names are resolved again at each connect, so a pod that came back with another address is found; HTTP/2 keep-alive
//! notices a peer that is gone without a word.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A ping after this long without a word, and its deadline. So a connection to a controller that vanished without a word
/// is given up after two seconds, and the next use resolves the name again. Calls in between end by their own deadlines.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What a connection is for: a snapshot must not delay heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Votes, heartbeats, log entries, forwarded calls.
    Calls,
    /// Snapshots.
    Bulk,
}

/// The connections of this controller. Clones share them.
#[derive(Clone, Default)]
pub struct Channels {
    open: Arc<Mutex<BTreeMap<(String, Purpose), Channel>>>,
}

impl Channels {
    /// The connection to `address` (host:port). It connects when it is used, and again when it broke.
    pub fn get(&self, address: &str, purpose: Purpose) -> Result<Channel, tonic::transport::Error> {
        let mut open = self.open.lock();
        if let Some(channel) = open.get(&(address.to_owned(), purpose)) {
            return Ok(channel.clone());
        }
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .connect_lazy();
        open.insert((address.to_owned(), purpose), channel.clone());
        Ok(channel)
    }
}
