//! Calls to the active controller, whichever of the configured ones it is.
//!
//! The one that answered last is tried first. One that is not active names the active one, which is tried next; one that
//! is not reached is followed by the next in the list. Every call has a deadline. What may be done twice is tried again
//! until then; what may not (a change that an operator asked for) is tried again only if it certainly was not done.

use std::{future::Future, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Response, Status, transport::Channel};

use holdfast_proto::{
    convert::peer_header,
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{BrokerId, ClusterId, MetadataIndex, ProducerId},
    status::{Origin, classify},
    v1::{self, admin_service_client::AdminServiceClient, controller_service_client::ControllerServiceClient},
};

use super::{MAX_MESSAGE_BYTES, channels::Peers};
use crate::{config::Config, context::Context};

/// Longest wait for one controller before the next is tried.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// First pause after every controller was tried in vain; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The controllers.
pub struct Controllers {
    addresses: Vec<String>,
    peers: Peers,
    timeout: Duration,
    pause_max: Duration,
    /// The one to try next: the active one as far as known.
    next: Mutex<String>,
}

/// What a repeated call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same again: repeat after any failure.
    Harmless,
    /// Perhaps a second change: repeat only if nothing was done.
    OnlyIfNotDone,
}

/// How far a controlled shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownProgress {
    /// Partitions that this broker still leads, because nobody else may.
    pub remaining_leaders: u32,
    /// Metadata index of the step.
    pub index: MetadataIndex,
}

impl Controllers {
    /// The controllers of the configuration.
    pub fn new(config: &Config) -> Self {
        let addresses: Vec<String> = config.controllers.iter().map(ToString::to_string).collect();
        let next = addresses.first().cloned().unwrap_or_default();
        Self {
            addresses,
            peers: Peers::new(config),
            timeout: Duration::from_millis(config.peer_rpc_timeout_ms),
            pause_max: Duration::from_millis(config.reconnect_max_ms),
            next: Mutex::new(next),
        }
    }

    /// The controller to try now.
    pub(super) fn candidate(&self) -> String {
        self.next.lock().clone()
    }

    pub(super) fn channel(&self, address: &str) -> Result<Channel, ErrorDetail> {
        self.peers.channel(address)
    }

    /// A call to `address` failed: decides whom to try next. True if that one was named as the active controller.
    pub(super) fn failed(&self, address: &str, origin: Origin, detail: &ErrorDetail) -> bool {
        if origin != Origin::Node {
            // The process may be hung behind a connection that stands.
            self.peers.forget(address);
        }
        let named = detail.controller.as_ref().map(|hint| hint.address.clone()).filter(|named| named != address);
        let is_named = named.is_some();
        let after = self.addresses.iter().position(|known| known == address).map_or(0, |index| index + 1);
        let following = || self.addresses[after % self.addresses.len()].clone();
        *self.next.lock() = named.unwrap_or_else(following);
        is_named
    }

    /// Makes a call until it is answered or `deadline` is over.
    pub(super) async fn call<T, F>(
        &self,
        deadline: Duration,
        repeat: Repeat,
        mut make: impl FnMut(Channel, Duration) -> F,
    ) -> Result<T, ErrorDetail>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let end = Instant::now() + deadline;
        let mut pause = FIRST_PAUSE;
        let mut tried = 0;
        loop {
            let address = self.candidate();
            let attempt = ATTEMPT.min(end.saturating_duration_since(Instant::now()));
            let called = tokio::time::timeout(attempt, make(self.channel(&address)?, attempt)).await;
            let status = match called {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::from_error(Box::new(TimedOut)),
            };
            let (origin, detail) = classify(&status);
            let moved = matches!(detail.code, ErrorCode::NotController | ErrorCode::NoQuorum);
            if origin == Origin::Node && !moved {
                return Err(detail);
            }
            let done_perhaps = detail.outcome == Outcome::Unknown && !(origin == Origin::Node && moved);
            let named = self.failed(&address, origin, &detail);
            if Instant::now() >= end || (done_perhaps && repeat == Repeat::OnlyIfNotDone) {
                return Err(unreachable(&detail));
            }
            tried += 1;
            if !named && tried % self.addresses.len() == 0 {
                tokio::time::sleep(jittered(pause).min(end.saturating_duration_since(Instant::now()))).await;
                pause = (pause * 2).min(self.pause_max);
            }
        }
    }

    fn controller(channel: Channel) -> ControllerServiceClient<Channel> {
        ControllerServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    async fn describe(&self) -> Result<v1::DescribeClusterResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::Harmless, |channel, timeout| async move {
            let mut request = tonic::Request::new(v1::DescribeClusterRequest {});
            request.set_timeout(timeout);
            AdminServiceClient::new(channel).describe_cluster(request).await
        })
        .await
    }

    /// Which cluster the controllers form; `None` while they form none yet.
    pub async fn cluster_id(&self) -> Result<Option<ClusterId>, ErrorDetail> {
        let answer = self.describe().await?;
        Ok(holdfast_proto::convert::optional_id(&answer.cluster_id, "cluster_id")?)
    }

    /// The registration under a broker's id, as far as the controller that answers has applied.
    pub(super) async fn registration(&self, broker_id: BrokerId) -> Result<Option<v1::BrokerInfo>, ErrorDetail> {
        let answer = self.describe().await?;
        Ok(answer.brokers.into_iter().find(|broker| broker.broker_id == broker_id.0))
    }

    /// A block of producer ids, as its first id and their number.
    pub async fn allocate_producer_ids(&self, context: &Context) -> Result<(ProducerId, u32), ErrorDetail> {
        let request = v1::AllocateProducerIdsRequest {
            header: Some(header(context)?),
            broker_id: context.broker_id.0,
            broker_epoch: context.identity.broker_epoch().0,
        };
        // A block that got lost on the way is lost for good, which harms nobody.
        let answer = self
            .call(self.timeout, Repeat::Harmless, |channel, _| {
                let request = request.clone();
                async move { Self::controller(channel).allocate_producer_ids(request).await }
            })
            .await?;
        if answer.count == 0 || answer.first_producer_id < 0 {
            return Err(ErrorDetail::new(ErrorCode::UnknownServerError, "the controller gave an empty block of ids"));
        }
        Ok((ProducerId(answer.first_producer_id), answer.count))
    }

    /// Starts a leave (`stopped` false), or says that it is done.
    pub async fn controlled_shutdown(
        &self,
        context: &Context,
        stopped: bool,
        deadline: Duration,
    ) -> Result<ShutdownProgress, ErrorDetail> {
        let request = v1::ControlledShutdownRequest {
            header: Some(header(context)?),
            broker_id: context.broker_id.0,
            broker_epoch: context.identity.broker_epoch().0,
            stopped,
        };
        let answer = self
            .call(deadline, Repeat::Harmless, |channel, _| {
                let request = request.clone();
                async move { Self::controller(channel).controlled_shutdown(request).await }
            })
            .await?;
        let index = MetadataIndex(answer.index);
        Ok(ShutdownProgress { remaining_leaders: answer.remaining_leaders, index })
    }

    /// Proposes ISR changes. One that may have been carried out is not made again here: the leader's core has to know
    /// that an older attempt may still be committed, and proposes again by itself.
    pub(super) async fn alter_partitions(
        &self,
        request: v1::AlterPartitionsRequest,
    ) -> Result<v1::AlterPartitionsResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::OnlyIfNotDone, |channel, _| {
            let request = request.clone();
            async move { Self::controller(channel).alter_partitions(request).await }
        })
        .await
    }

    /// Registers this start of the broker.
    pub(super) async fn register(
        &self,
        request: v1::RegisterBrokerRequest,
    ) -> Result<v1::RegisterBrokerResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::Harmless, |channel, _| {
            let request = request.clone();
            async move { Self::controller(channel).register_broker(request).await }
        })
        .await
    }
}

/// A local timeout of one attempt.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct TimedOut;

/// The error of a call that no controller answered: the caller asked this broker, which is there.
fn unreachable(detail: &ErrorDetail) -> ErrorDetail {
    let message = format!("no active controller answered in time; the last failure was {detail}");
    ErrorDetail::new(ErrorCode::NoQuorum, message).with_outcome(detail.outcome)
}

/// Half to all of `pause`.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

/// The header of a call to any controller.
pub(super) fn header(context: &Context) -> Result<v1::PeerHeader, ErrorDetail> {
    let cluster_id = context.identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
    Ok(peer_header(cluster_id, 0, context.broker_id.0.into()))
}
