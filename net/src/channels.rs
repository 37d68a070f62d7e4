//! The connections of a process, made when they are first used, and again after they broke.
//!
//! Invariant: one connection an address and purpose, so that what is large on one does not hold up what is urgent on
//! another. Failure: a broken connection fails the calls on it, and the next call connects again; a peer that is silent
//! but not gone is to be forgotten.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tonic::transport::Channel;

use crate::{Connector, Error};

/// Connections that are kept. Past it all are dropped, and made again when they are used: it bounds what stale addresses
/// leave behind.
const MAX_CHANNELS: usize = 4_096;

/// See the module. `P` is what a connection is for; `()` where one is enough. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Channels<P> {
    connector: Connector,
    open: Arc<Mutex<HashMap<(String, P), Channel>>>,
}

impl<P: Copy + Eq + Hash> Channels<P> {
    /// Connects to nobody yet: [`Self::get`] does, when an address is first asked for.
    pub fn new(connector: Connector) -> Self {
        Self { connector, open: Arc::default() }
    }

    /// The connection to `address`, `host:port`. Fails only if that is no address. Must be called within a tokio runtime.
    pub fn get(&self, address: &str, purpose: P) -> Result<Channel, Error> {
        let key = (address.to_owned(), purpose);
        let mut open = self.open.lock();
        if let Some(channel) = open.get(&key) {
            return Ok(channel.clone());
        }
        if open.len() >= MAX_CHANNELS {
            open.clear();
        }
        let channel = self.connector.endpoint(address)?.connect_lazy();
        open.insert(key, channel.clone());
        Ok(channel)
    }

    /// Gives up a connection: the next use makes a new one.
    pub fn forget(&self, address: &str, purpose: P) {
        self.open.lock().remove(&(address.to_owned(), purpose));
    }

    /// Gives up the connections to addresses that are not used any more.
    pub fn retain(&self, used: impl Fn(&str) -> bool) {
        self.open.lock().retain(|(address, _), _| used(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_kept_for_each_purpose_until_it_is_forgotten() {
        let channels = Channels::new(Connector::default());
        for (address, purpose) in [("a:1", 1), ("a:1", 1), ("a:1", 2), ("b:1", 1)] {
            channels.get(address, purpose).unwrap();
        }
        assert!(channels.get("no address", 1).is_err());
        let open = |channels: &Channels<i32>| channels.open.lock().len();
        assert_eq!(open(&channels), 3);
        channels.forget("a:1", 2);
        assert_eq!(open(&channels), 2);
        channels.retain(|address| address == "b:1");
        assert_eq!(open(&channels), 1);
    }

    #[tokio::test]
    async fn stale_addresses_do_not_pile_up() {
        let channels = Channels::new(Connector::default());
        for port in 1..=MAX_CHANNELS + 1 {
            channels.get(&format!("a:{port}"), ()).unwrap();
        }
        assert_eq!(channels.open.lock().len(), 1);
    }
}
