//! How the options relate to each other.

use std::collections::BTreeSet;

use holdfast_node::settings::Address;

use super::Config;

impl Config {
    /// Every broken relation, as the key to look at and what is wrong.
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, key: &'static str, message: String| {
            if !holds {
                problems.push((key, message));
            }
        };
        must(
            is_address(&self.listen),
            "listen",
            format!("listen: '{}' is not an address; write host:port", self.listen),
        );
        must(
            self.advertised_address.is_empty() || is_address(&self.advertised_address),
            "advertised_address",
            format!("advertised_address: '{}' is not an address; write host:port", self.advertised_address),
        );
        must(
            self.metrics_listen.as_ref().is_none_or(|metrics| metrics.port == 0 || metrics.to_string() != self.listen),
            "metrics_listen",
            "metrics_listen: must differ from listen: metrics have a port of their own".to_owned(),
        );
        for peer in self.peers.iter().filter(|peer| !is_address(peer)) {
            must(false, "peers", format!("peers: '{peer}' is not an address; write host:port"));
        }
        let distinct: BTreeSet<&String> = self.peers.iter().collect();
        must(distinct.len() == self.peers.len(), "peers", "peers names an address twice".to_owned());
        must(self.peers.len() <= 9, "peers", format!("peers has {} addresses; at most 9", self.peers.len()));
        must(
            self.peers.is_empty() || self.peers.iter().any(|peer| peer == self.own_address()),
            "peers",
            format!("peers does not contain this controller's own address {}", self.own_address()),
        );
        must(
            self.default_min_insync_replicas <= self.default_replication_factor,
            "default_min_insync_replicas",
            format!(
                "default_min_insync_replicas ({}) is more than default_replication_factor ({})",
                self.default_min_insync_replicas, self.default_replication_factor
            ),
        );
        must(
            self.broker_disconnect_grace_ms <= self.broker_session_timeout_ms,
            "broker_disconnect_grace_ms",
            format!(
                "broker_disconnect_grace_ms ({}) is more than broker_session_timeout_ms ({})",
                self.broker_disconnect_grace_ms, self.broker_session_timeout_ms
            ),
        );
        must(
            self.election_timeout_min_ms >= 2 * self.heartbeat_interval_ms,
            "election_timeout_min_ms",
            format!(
                "election_timeout_min_ms ({}) is less than twice heartbeat_interval_ms ({})",
                self.election_timeout_min_ms, self.heartbeat_interval_ms
            ),
        );
        must(
            self.election_timeout_min_ms < self.election_timeout_max_ms,
            "election_timeout_max_ms",
            format!(
                "election_timeout_max_ms ({}) is not more than election_timeout_min_ms ({})",
                self.election_timeout_max_ms, self.election_timeout_min_ms
            ),
        );
        problems
    }
}

/// True for `host:port` with a port above 0; an IPv6 address stands in brackets.
fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok_and(|address| address.port > 0)
}
