//! Settings that all parts of a client share.
//!
//! Options are passed in explicitly; nothing but [`ClientConfig::from_env`] reads the environment.

use std::{env, net::Ipv6Addr, time::Duration};

use holdfast_proto::limits::MAX_MESSAGE_BYTES;

use crate::{deadline::bounded, error::Error};

/// Name of the environment variable that holds the bootstrap list, `host:port,host:port`.
pub const BOOTSTRAP_ENV: &str = "HOLDFAST_BOOTSTRAP";

/// How a client reaches the cluster. Times of more than a year, as `Duration::MAX`, mean a year: no limit.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Brokers to ask first, as `host:port`. One that answers is enough; the others are learnt from it. Names are
    /// resolved again at every connect. Name several, or the client cannot start while that one is down.
    pub bootstrap: Vec<String>,
    /// True: speak to the first bootstrap address alone, which passes on what is meant for other brokers. For a client
    /// that reaches no other address, as through `kubectl port-forward`. Default false: every hop costs time, and that
    /// one broker's bandwidth.
    pub one_address: bool,
    /// Name of this client in logs of the brokers. Default `holdfast-client`.
    pub client_id: String,
    /// Longest wait for a TCP connection. Default 1 s. Too short: slow networks never connect. Too long: a dead
    /// address holds up what waits for it, as that of a pod whose name is not yet known to lead elsewhere.
    pub connect_timeout: Duration,
    /// Deadline of one call that is answered at once, such as metadata. Default 10 s.
    pub request_timeout: Duration,
    /// Longest time that an administrative call is tried again. Default 30 s.
    pub admin_timeout: Duration,
    /// First pause before a retry or reconnect; it doubles up to `retry_backoff_max`, and each is cut by
    /// chance to between half and all of it. Default 50 ms.
    pub retry_backoff: Duration,
    /// Longest pause between two retries or reconnects. Default 1 s.
    pub retry_backoff_max: Duration,
    /// Least time between two metadata requests of this client, however many callers want one. Default 50 ms.
    pub metadata_min_interval: Duration,
    /// Longest time without a metadata refresh: finds new partitions without an error. Default 5 min.
    pub metadata_max_age: Duration,
    /// Silence after which a connection is probed (HTTP/2 ping). Default 1 s; a ping that is unanswered for 2 s closes
    /// the connection: so long a broker on an unplugged node holds its client up.
    pub keep_alive_interval: Duration,
    /// HTTP/2 flow-control window of one stream, bytes; that of a connection is twice as much. Default 8 MiB. Too
    /// small: throughput is bound by window / round trip.
    pub stream_window_bytes: u32,
    /// Largest gRPC message, bytes. Default 64 MiB, the largest that a node sends: what is said of every partition of a
    /// large cluster. At least 1 MiB; for consumers at least 17 MiB, room for the largest batch of any topic.
    pub max_message_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            one_address: false,
            client_id: "holdfast-client".to_owned(),
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(10),
            admin_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(50),
            retry_backoff_max: Duration::from_secs(1),
            metadata_min_interval: Duration::from_millis(50),
            metadata_max_age: Duration::from_mins(5),
            keep_alive_interval: Duration::from_secs(1),
            stream_window_bytes: 8 << 20,
            max_message_bytes: MAX_MESSAGE_BYTES,
        }
    }
}

impl ClientConfig {
    /// The defaults, with these brokers to ask first.
    pub fn new<S: Into<String>>(bootstrap: impl IntoIterator<Item = S>) -> Self {
        Self { bootstrap: bootstrap.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The defaults, with the bootstrap list from `HOLDFAST_BOOTSTRAP`.
    pub fn from_env() -> Result<Self, Error> {
        let wrong =
            |how| Error::InvalidConfig(format!("{BOOTSTRAP_ENV} is not {how}: set it to host:port[,host:port…]"));
        match env::var(BOOTSTRAP_ENV) {
            Ok(list) => Ok(Self::new(split_list(&list))),
            Err(env::VarError::NotPresent) => Err(wrong("set")),
            Err(env::VarError::NotUnicode(_)) => Err(wrong("UTF-8")),
        }
    }

    /// Checks ranges and relations; names every problem.
    pub fn validate(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if self.bootstrap.is_empty() {
            problems.push("bootstrap names no broker: give at least one host:port".to_owned());
        }
        for address in &self.bootstrap {
            if !is_address(address) {
                problems.push(format!(
                    "bootstrap: '{address}' is not an address; write host:port, an IPv6 address as [::1]:port"
                ));
            }
        }
        if self.retry_backoff.is_zero() || self.retry_backoff > self.retry_backoff_max {
            problems.push("retry_backoff must be above 0 and at most retry_backoff_max".to_owned());
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            problems.push("connect_timeout and request_timeout must be above 0".to_owned());
        }
        if !(65_535..=1 << 30).contains(&self.stream_window_bytes) {
            problems.push("stream_window_bytes must be from 65,535 to 1 GiB".to_owned());
        }
        if self.max_message_bytes < 1 << 20 {
            problems.push("max_message_bytes must be at least 1 MiB".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::InvalidConfig(problems.join("; "))) }
    }
}

impl ClientConfig {
    /// The same, with no time so long that sums of it overflow.
    pub(crate) fn bounded(mut self) -> Self {
        let times = [
            &mut self.connect_timeout,
            &mut self.request_timeout,
            &mut self.admin_timeout,
            &mut self.retry_backoff,
            &mut self.retry_backoff_max,
            &mut self.metadata_min_interval,
            &mut self.metadata_max_age,
            &mut self.keep_alive_interval,
        ];
        for time in times {
            *time = bounded(*time);
        }
        self
    }
}

/// True for host:port, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(|c: char| "[]:/%@?#".contains(c) || c.is_whitespace()),
    };
    is_host && port.parse::<u16>().is_ok()
}

/// The entries of a comma-separated list, without blanks.
pub fn split_list(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_named_at_once() {
        let config = ClientConfig { retry_backoff: Duration::ZERO, ..ClientConfig::new(["here", ":1", "a:99999"]) };
        let text = config.validate().unwrap_err().to_string();
        for part in ["'here'", "':1'", "'a:99999'", "retry_backoff"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(ClientConfig::new(["a:1", "[::1]:2"]).validate().is_ok());
        assert!(ClientConfig::default().validate().is_err());
        for wrong in ["::1:9201", "[::1", "[::1]", "[x]:1", "fe80::1%lo:9201", "a b:1", "http://a:1", ""] {
            let text = ClientConfig::new([wrong]).validate().unwrap_err().to_string();
            assert!(text.contains("[::1]:port"), "{wrong}: {text}");
        }
    }

    #[test]
    fn lists_are_split_without_blanks() {
        assert_eq!(split_list(" a:1, b:2,,"), ["a:1", "b:2"]);
    }
}
