//! Connections to other nodes, as the broker's settings want them. How they are made and given up: [`Connector`].
//!
//! A stream to a leader's broker connects with an endpoint of its own each time (`fetcher`); a controller that did not
//! answer is forgotten and connected to again ([`Peers::forget`]).

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use holdfast_net::{Channels, Connector, Windows};
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::config::Config;

/// How to connect to `address`.
pub(super) fn endpoint(config: &Config, address: &str) -> Result<Endpoint, ErrorDetail> {
    connector(config).endpoint(address).map_err(|error| no_address(&error))
}

/// As the settings say.
pub(super) fn connector(config: &Config) -> Connector {
    Connector {
        connect_timeout: Duration::from_millis(config.connect_timeout_ms),
        ping_interval: Duration::from_millis(config.peer_keep_alive_interval_ms),
        ping_timeout: Duration::from_millis(config.peer_keep_alive_timeout_ms),
        windows: Some(Windows {
            stream_bytes: config.http2_stream_window_bytes,
            connection_bytes: config.http2_connection_window_bytes,
        }),
        ..Connector::default()
    }
}

/// What was given is no address.
pub(super) fn no_address(error: &holdfast_net::Error) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::BrokerNotAvailable, error.to_string())
}

/// What a connection is for. Calls of one kind that wait for long take the streams of no other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// This broker's own calls.
    Calls,
    /// Clients' administration that is sent on: it may wait for a place at the controller.
    Administration,
    /// Clients' records that are sent on: they wait for their acknowledgement.
    Writes,
    /// Clients' reads that are sent on: they wait for records.
    Reads,
}

/// Connections by address and purpose, made when first used and re-made by themselves.
pub struct Peers {
    pub(super) config: Config,
    channels: Channels<Purpose>,
}

impl Peers {
    /// Connects as these settings say, once something is asked for.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), channels: Channels::new(connector(config)) }
    }

    /// The connection to `address`. Made lazily: fails only if that is no address.
    pub(super) fn channel(&self, address: &str, purpose: Purpose) -> Result<Channel, ErrorDetail> {
        self.channels.get(address, purpose).map_err(|error| no_address(&error))
    }

    /// Forgets the connection to `address`: the next use makes a new one.
    pub(super) fn forget(&self, address: &str, purpose: Purpose) {
        self.channels.forget(address, purpose);
    }
}
