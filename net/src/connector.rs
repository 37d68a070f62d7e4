//! How a connection is made, and when it is given up. No other file builds an endpoint of tonic.
//!
//! 1. Names are resolved again at each connect, never stored: pods come back elsewhere. An [`Endpoint`] holds the name
//!    alone, and each connect, the first and those by which a channel mends itself, asks the system's resolver (hyper's
//!    connector calls getaddrinfo each time and keeps no answer), within the connect timeout in all.
//! 2. A peer that vanished silently leaves a connection that looks fine. HTTP/2 pings, on idle connections too, end
//!    it after `ping_interval` and `ping_timeout`; the calls on it fail then, and the next connects again.
//! 3. TCP is probed as well, for firewalls and the like that forget a connection whose pings were set far apart.
//!
//! Failure: what is no address is an [`Error`]; everything else fails the call that wanted the connection.

use std::time::Duration;

use tonic::transport::Endpoint;

/// Idle TCP connections are probed after so long.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Largest HTTP/2 frame that the other side may send, bytes: large ones cost fewer steps for the same bytes.
const MAX_FRAME_BYTES: u32 = 1 << 20;
/// Largest list of headers of an answer, bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// What a process wants of its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Longest wait for a connection, the name's resolution included.
    pub connect_timeout: Duration,
    /// Silence after which a connection is pinged.
    pub ping_interval: Duration,
    /// Time that a ping may stay unanswered. Short: a busy or paused peer is taken for a dead one.
    pub ping_timeout: Duration,
    /// HTTP/2 windows; `None`: those of the HTTP library, enough where answers are small.
    pub windows: Option<Windows>,
    /// Name of the caller in the other side's log; `None`: tonic's.
    pub user_agent: Option<String>,
    /// The one address that every connection goes to; the node that is meant stands in `:authority`, so that the broker
    /// there can pass the call on. `None`: each is connected to itself.
    pub via: Option<String>,
}

/// How much may be on its way to this side before it has to be read, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of one stream. Too small: throughput is bound by window / round trip.
    pub stream_bytes: u32,
    /// Of all streams of one connection together.
    pub connection_bytes: u32,
}

/// A setting or an address with which no connection can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is not `host:port`.
    #[error("'{address}' is not an address; write host:port ({reason})")]
    Address {
        /// The text that is no address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller's name cannot stand in a header.
    #[error("'{name}' is not a name of a client; write visible ASCII ({reason})")]
    UserAgent {
        /// The text that was given as `user_agent`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Default for Connector {
    /// For a node on the same network: an unplugged one is given up after three seconds.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            ping_interval: Duration::from_secs(1),
            ping_timeout: Duration::from_secs(2),
            windows: None,
            user_agent: None,
            via: None,
        }
    }
}

impl Connector {
    /// How to connect to `address`, `host:port`. Nothing is asked of the network yet.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, Error> {
        let meant = plain(address)?;
        let mut endpoint = match &self.via {
            Some(via) => plain(via)?.origin(meant.uri().clone()),
            None => meant,
        };
        if let Some(name) = &self.user_agent {
            let wrong = |error: tonic::transport::Error| Error::UserAgent { name: name.clone(), reason: cause(&error) };
            endpoint = endpoint.user_agent(name.as_str()).map_err(wrong)?;
        }
        if let Some(windows) = self.windows {
            endpoint = endpoint
                .initial_stream_window_size(windows.stream_bytes)
                .initial_connection_window_size(windows.connection_bytes);
        }
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(TCP_KEEP_ALIVE))
            .max_frame_size(MAX_FRAME_BYTES)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .http2_keep_alive_interval(self.ping_interval)
            .keep_alive_timeout(self.ping_timeout)
            .keep_alive_while_idle(true))
    }
}

fn plain(address: &str) -> Result<Endpoint, Error> {
    Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Error::Address { address: address.to_owned(), reason: cause(&error) })
}

/// What is behind tonic's error, which by itself says only that there is one.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_connected_to_itself_or_through_the_one() {
        let connector = Connector::default();
        let endpoint = connector.endpoint("broker-1.example:9092").unwrap();
        assert_eq!(endpoint.uri().to_string(), "http://broker-1.example:9092/");
        assert_eq!(endpoint.get_connect_timeout(), Some(Duration::from_secs(1)));
        let through = Connector { via: Some("127.0.0.1:1".to_owned()), ..connector };
        assert_eq!(through.endpoint("broker-1.example:9092").unwrap().uri().to_string(), "http://127.0.0.1:1/");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_reason() {
        let error = Connector::default().endpoint("no address").unwrap_err();
        assert!(error.to_string().starts_with("'no address' is not an address; write host:port ("), "{error}");
        let named = Connector { user_agent: Some("a\nb".to_owned()), ..Connector::default() };
        let error = named.endpoint("a:1").unwrap_err();
        assert!(matches!(&error, Error::UserAgent { name, .. } if name == "a\nb"), "{error}");
        let through = Connector { via: Some("no address".to_owned()), ..Connector::default() };
        assert!(through.endpoint("a:1").is_err());
    }
}
