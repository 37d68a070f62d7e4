//! Connections to other nodes. Names are resolved at each connect, never stored: pods come back elsewhere.
//!
//! What guarantees it: an [`Endpoint`] holds the name alone. Each connect, the first and those by which a channel mends
//! itself, asks the system's resolver again (hyper's connector calls getaddrinfo each time and keeps no answer), within
//! `connect_timeout_ms` in all. A peer that vanished without a word leaves a connection that looks fine; HTTP/2 pings end
//! it after `http2_keep_alive_interval_ms` and `http2_keep_alive_timeout_ms`, and calls on it fail then. A stream to a
//! leader's broker connects with an endpoint of its own each time (`fetcher`), a controller that did not answer is
//! forgotten and connected to again ([`Peers::forget`]).

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::config::{
    Config,
    limits::{MAX_FRAME_BYTES, MAX_HEADER_LIST_BYTES},
};

/// Addresses that connections are kept for. Past it all are dropped and made again: it bounds what stale addresses leave.
const MAX_CHANNELS: usize = 1024;

/// How to connect to `address`.
pub(super) fn endpoint(config: &Config, address: &str) -> Result<Endpoint, ErrorDetail> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
        ErrorDetail::new(ErrorCode::BrokerNotAvailable, format!("`{address}` is no address: {error}"))
    })?;
    Ok(endpoint
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .tcp_nodelay(true)
        .initial_stream_window_size(config.http2_stream_window_bytes)
        .initial_connection_window_size(config.http2_connection_window_bytes)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keep_alive_interval(Duration::from_millis(config.http2_keep_alive_interval_ms))
        .keep_alive_timeout(Duration::from_millis(config.http2_keep_alive_timeout_ms))
        .keep_alive_while_idle(true))
}

/// Connections by address, made when first used and re-made by themselves.
pub struct Peers {
    pub(super) config: Config,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Peers {
    /// Connects as these settings say, once something is asked for.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), channels: Mutex::default() }
    }

    /// The connection to `address`. Made lazily: fails only if that is no address.
    pub(crate) fn channel(&self, address: &str) -> Result<Channel, ErrorDetail> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        let channel = endpoint(&self.config, address)?.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Forgets the connection to `address`: the next use makes a new one.
    pub(crate) fn forget(&self, address: &str) {
        self.channels.lock().remove(address);
    }
}
