//! Relations between options.

use holdfast_node::{settings::Address, telemetry};

use super::Config;

impl Config {
    /// Everything that is wrong between options, as option and message. Empty if nothing is.
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut say = |bad: bool, key: &'static str, message: &str| {
            if bad {
                wrong.push((key, format!("{key}: {message}")));
            }
        };
        say(self.controllers.iter().any(|address| address.port == 0), "controllers", "a controller's port cannot be 0");
        let same = !self.client_listen.is_empty() && self.client_listen.port != 0;
        say(
            same && self.client_listen == self.peer_listen,
            "peer_listen",
            "must differ from client_listen: clients must not reach the brokers' port",
        );
        let metrics = self.metrics_listen.as_ref().filter(|metrics| metrics.port != 0);
        say(
            metrics.is_some_and(|metrics| [&self.client_listen, &self.peer_listen].contains(&metrics)),
            "metrics_listen",
            "must differ from client_listen and peer_listen: metrics have a port of their own",
        );
        let hidden = |listen: &Address, told: Option<&Address>| listen.is_wildcard() && told.is_none();
        let unreachable = |told: Option<&Address>| told.is_some_and(|told| told.is_wildcard() || told.port == 0);
        say(
            hidden(&self.client_listen, self.client_advertised_address.as_ref()),
            "client_listen",
            "listens on every interface, so client_advertised_address must say which address clients are told",
        );
        say(
            hidden(&self.peer_listen, self.peer_advertised_address.as_ref()),
            "peer_listen",
            "listens on every interface, so peer_advertised_address must say which address nodes are told",
        );
        say(
            unreachable(self.client_advertised_address.as_ref()),
            "client_advertised_address",
            "nobody can connect to it: a wildcard, or port 0",
        );
        say(
            unreachable(self.peer_advertised_address.as_ref()),
            "peer_advertised_address",
            "nobody can connect to it: a wildcard, or port 0",
        );
        say(
            self.max_in_flight_bytes < self.max_in_flight_bytes_per_stream,
            "max_in_flight_bytes",
            "is below max_in_flight_bytes_per_stream: one stream could never use its share",
        );
        say(
            self.http2_connection_window_bytes < self.http2_stream_window_bytes,
            "http2_connection_window_bytes",
            "is below http2_stream_window_bytes: one stream could never use its window",
        );
        say(
            self.heartbeat_interval_ms * 2 > self.peer_rpc_timeout_ms,
            "heartbeat_interval_ms",
            "must be at most half of peer_rpc_timeout_ms",
        );
        let understood = telemetry::is_level(&self.log_level);
        say(!understood, "log_level", "expected error, warn, info, debug, trace, or directives of these");
        wrong
    }
}
