//! Connections to brokers.
//!
//! Place: everything that calls the cluster gets its channel here. How connections are made and given up: [`Connector`].
//!
//! Invariants:
//! 1. Bulk data never stands before a metadata call: each address has one connection per [`Lane`].
//! 2. Every unary call has a deadline.
//!
//! Failure: a broken connection fails the calls on it; the next call connects again. Pausing between attempts is up to
//! the caller ([`crate::retry`]).

use std::{future::Future, time::Duration};

use tonic::{Request, Response, Status, transport::Channel};

use holdfast_net::{Channels, Connector, Windows};
use holdfast_proto::{
    error::{ErrorCode, Outcome},
    status::{self, Origin},
    v1::{
        admin_service_client::AdminServiceClient, consumer_service_client::ConsumerServiceClient,
        producer_service_client::ProducerServiceClient,
    },
};

use crate::{config::ClientConfig, error::Error};

/// Time that an HTTP/2 ping may stay unanswered.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

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
    channels: Channels<Lane>,
}

impl Connections {
    /// Connects to nothing: each connection is made by the first call that needs it.
    pub(crate) fn new(config: ClientConfig) -> Self {
        let channels = Channels::new(connector(&config));
        Self { config, channels }
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
        self.channels.forget(address, lane);
    }

    /// Gives up the connections to addresses that are not used any more.
    pub(crate) fn retain(&self, used: impl Fn(&str) -> bool) {
        self.channels.retain(used);
    }

    fn channel(&self, address: &str, lane: Lane) -> Result<Channel, Error> {
        self.channels.get(address, lane).map_err(|error| Error::InvalidConfig(error.to_string()))
    }
}

fn connector(config: &ClientConfig) -> Connector {
    Connector {
        connect_timeout: config.connect_timeout,
        ping_interval: config.keep_alive_interval,
        ping_timeout: PING_TIMEOUT,
        windows: Some(Windows {
            stream_bytes: config.stream_window_bytes,
            connection_bytes: config.stream_window_bytes.saturating_mul(2),
        }),
        user_agent: Some(config.client_id.clone()),
        via: config.bootstrap.first().filter(|_| config.one_address).cloned(),
    }
}

/// What a call does at the node that carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads: however it fails, nothing is in doubt.
    Reads,
    /// It may change something, also when no answer came.
    Changes,
}

/// Makes one unary call with its deadline, which the server is told too.
pub(crate) async fn call<Q, R, F>(
    address: &str,
    what: &str,
    effect: Effect,
    deadline: Duration,
    message: Q,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<R, Error>
where
    F: Future<Output = Result<Response<R>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    let late = || Error::DeadlineExceeded {
        what: format!("{what} at {address}"),
        after: deadline,
        in_doubt: effect == Effect::Changes,
    };
    match tokio::time::timeout(deadline, rpc(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(match from_status(address, &status) {
            // The connection's own clock, or the node's, was faster than the one here.
            Error::Broken { detail, .. } if detail.code == ErrorCode::DeadlineExceeded => late(),
            error if effect == Effect::Reads => without_doubt(error),
            error => error,
        }),
        Err(_) => Err(late()),
    }
}

/// The error of a call that changes nothing.
fn without_doubt(mut error: Error) -> Error {
    if let Error::Rejected(detail) | Error::Broken { detail, .. } = &mut error {
        detail.outcome = Outcome::NotAppended;
    }
    error
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
