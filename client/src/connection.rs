//! Connections to brokers.
//!
//! Place: everything that calls the cluster gets its channel here; the only file that builds tonic channels.
//!
//! Invariants:
//! 1. A channel is built lazily and resolves its name at every connect, so that a broker that comes back under another
//!    address is found.
//! 2. Bulk data never stands before a metadata call: each address has one connection per [`Lane`].
//! 3. Every unary call has a deadline.
//!
//! Failure: a broken connection fails the calls on it; the next call connects anew. Pausing between attempts is up to
//! the caller ([`crate::retry`]).

use std::{collections::HashMap, future::Future, time::Duration};

use parking_lot::Mutex;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use holdfast_proto::{
    status::{self, Origin},
    v1::{
        admin_service_client::AdminServiceClient, consumer_service_client::ConsumerServiceClient,
        producer_service_client::ProducerServiceClient,
    },
};

use crate::{config::ClientConfig, error::Error};

/// Time that an HTTP/2 ping may stay unanswered.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle TCP connections are probed too, for what sits between the ends.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Largest HTTP/2 frame that brokers may send: large ones cost fewer steps for the same bytes.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Short calls: metadata, administration.
    Control,
    /// Batches on their way to the broker.
    Produce,
    /// Batches on their way from the broker.
    Fetch,
}

/// All connections of one client.
#[derive(Debug)]
pub(crate) struct Connections {
    config: ClientConfig,
    channels: Mutex<HashMap<(String, Lane), Channel>>,
}

impl Connections {
    /// No connection yet.
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self { config, channels: Mutex::new(HashMap::new()) }
    }

    /// Settings of the client.
    pub(crate) const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// For administration and metadata.
    pub(crate) fn admin(&self, address: &str) -> Result<AdminServiceClient<Channel>, Error> {
        let limit = self.config.max_message_bytes;
        Ok(AdminServiceClient::new(self.channel(address, Lane::Control)?)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit))
    }

    /// For producing, and for producer ids.
    pub(crate) fn producer(&self, address: &str, lane: Lane) -> Result<ProducerServiceClient<Channel>, Error> {
        let limit = self.config.max_message_bytes;
        Ok(ProducerServiceClient::new(self.channel(address, lane)?)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit))
    }

    /// For fetching, and for offsets.
    pub(crate) fn consumer(&self, address: &str, lane: Lane) -> Result<ConsumerServiceClient<Channel>, Error> {
        let limit = self.config.max_message_bytes;
        Ok(ConsumerServiceClient::new(self.channel(address, lane)?)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit))
    }

    /// Gives up the connection, so that the next call makes a new one. For a peer that is silent but not gone.
    pub(crate) fn discard(&self, address: &str, lane: Lane) {
        self.channels.lock().remove(&(address.to_owned(), lane));
    }

    /// Gives up the connections to addresses that are not used any more.
    pub(crate) fn retain(&self, used: impl Fn(&str) -> bool) {
        self.channels.lock().retain(|(address, _), _| used(address));
    }

    fn channel(&self, address: &str, lane: Lane) -> Result<Channel, Error> {
        let key = (address.to_owned(), lane);
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&key) {
            return Ok(channel.clone());
        }
        let channel = self.endpoint(address)?.connect_lazy();
        channels.insert(key, channel.clone());
        Ok(channel)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, Error> {
        let wrong = |reason: tonic::transport::Error| Error::InvalidConfig(format!("address `{address}`: {reason}"));
        let uri = |address: &str| Endpoint::from_shared(format!("http://{address}")).map_err(wrong);
        let endpoint = match self.config.bootstrap.first().filter(|_| self.config.one_address) {
            // The address stands in `:authority`; the broker that is connected to passes the call on to it.
            Some(only) => uri(only)?.origin(uri(address)?.uri().clone()),
            None => uri(address)?,
        };
        Ok(endpoint
            .user_agent(self.config.client_id.clone())
            .map_err(wrong)?
            .connect_timeout(self.config.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(TCP_KEEP_ALIVE))
            .http2_keep_alive_interval(self.config.keep_alive_interval)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .http2_adaptive_window(false)
            .max_frame_size(MAX_FRAME_BYTES)
            .initial_stream_window_size(self.config.stream_window_bytes)
            .initial_connection_window_size(self.config.stream_window_bytes.saturating_mul(2)))
    }
}

/// Makes one unary call with its deadline, which the server is told too.
pub(crate) async fn call<Q, R, F>(
    address: &str,
    what: &str,
    deadline: Duration,
    message: Q,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<R, Error>
where
    F: Future<Output = Result<Response<R>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    match tokio::time::timeout(deadline, rpc(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(from_status(address, &status)),
        Err(_) => {
            Err(Error::DeadlineExceeded { what: format!("{what} at {address}"), after: deadline, in_doubt: true })
        }
    }
}

/// What a failed call means.
pub(crate) fn from_status(address: &str, status: &Status) -> Error {
    let address = || address.to_owned();
    match status::classify(status) {
        (Origin::Node, detail) => Error::Rejected(Box::new(detail)),
        (Origin::NotConnected, detail) => Error::NotConnected { address: address(), reason: detail.message },
        (Origin::Transport, detail) => Error::Broken { address: address(), detail: Box::new(detail) },
    }
}
