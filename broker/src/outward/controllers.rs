//! Calls to the active controller, whichever of the configured ones it is.
//!
//! Every call has a deadline. Which controller is called, and whether again after a failure, [`retry`](super::retry) says. One
//! that belongs to no cluster yet, as with an empty folder, knows nothing of this one: it is asked, and then the next.

use std::{future::Future, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Response, Status, transport::Channel};

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{BrokerId, ClusterId, MetadataIndex, MetadataVersion, ProducerId},
    limits::MAX_MESSAGE_BYTES,
    status::{Origin, classify},
    v1::{self, admin_service_client::AdminServiceClient, controller_service_client::ControllerServiceClient},
};

use super::{
    channels::{Peers, Purpose},
    header::header,
    retry::{Attempts, Candidates, Next, Repeat},
};
use crate::{config::Config, here::identity::Identity};

/// Longest wait for one controller before the next is tried; what must not be done twice has no other try.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// First pause after every controller was tried and none answered; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// How long an active controller is looked for when a client asks: several elections, and well below what clients wait for
/// an answer, so that they learn that there is none.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(5);

/// The configured controllers, and connections to them. Finds the active one.
pub struct Controllers {
    peers: Peers,
    timeout: Duration,
    longest_pause: Duration,
    candidates: Mutex<Candidates>,
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
        Self {
            peers: Peers::new(config),
            timeout: Duration::from_millis(config.peer_rpc_timeout_ms),
            longest_pause: Duration::from_millis(config.reconnect_max_ms),
            candidates: Mutex::new(Candidates::new(config.controllers.iter().map(ToString::to_string).collect())),
        }
    }

    /// The controller to try now.
    pub(super) fn candidate(&self) -> String {
        self.candidates.lock().candidate().to_owned()
    }

    pub(super) fn channel(&self, address: &str) -> Result<Channel, ErrorDetail> {
        self.peers.channel(address, Purpose::Calls)
    }

    /// For what clients ask for.
    pub(super) async fn call_for_clients<T, F>(
        &self,
        deadline: Duration,
        repeat: Repeat,
        make: impl FnMut(Channel, Duration) -> F,
    ) -> Result<T, ErrorDetail>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_over(Purpose::Administration, deadline, CLIENTS_PATIENCE.min(deadline), repeat, make).await
    }

    /// Number of configured controllers, at least 1.
    pub(super) fn count(&self) -> usize {
        self.candidates.lock().count()
    }

    /// A call to `address` failed: decides whom to try next. True if that one was named as the active controller.
    pub(super) fn failed(&self, address: &str, origin: Origin, detail: &ErrorDetail) -> bool {
        self.failed_over(Purpose::Calls, address, origin, detail)
    }

    fn failed_over(&self, purpose: Purpose, address: &str, origin: Origin, detail: &ErrorDetail) -> bool {
        if origin != Origin::Node {
            // The process may be hung behind a connection that stands.
            self.peers.forget(address, purpose);
        }
        self.candidates.lock().failed(address, detail)
    }

    /// Makes a call of this broker's own until it is answered or `deadline` is over.
    async fn call<T, F>(
        &self,
        deadline: Duration,
        repeat: Repeat,
        make: impl FnMut(Channel, Duration) -> F,
    ) -> Result<T, ErrorDetail>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_over(Purpose::Calls, deadline, deadline, repeat, make).await
    }

    /// `patience`: how long an active controller is looked for; one that was found has until the deadline.
    async fn call_over<T, F>(
        &self,
        purpose: Purpose,
        deadline: Duration,
        patience: Duration,
        repeat: Repeat,
        mut make: impl FnMut(Channel, Duration) -> F,
    ) -> Result<T, ErrorDetail>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (end, found_by) = (Instant::now() + deadline, Instant::now() + patience);
        let mut attempts = Attempts::new(repeat, Backoff::new(FIRST_PAUSE, self.longest_pause));
        let candidates = self.candidates.lock().count();
        loop {
            let address = self.candidate();
            let left = end.saturating_duration_since(Instant::now());
            let attempt = if repeat == Repeat::IfNotDone { left } else { ATTEMPT.min(left) };
            let channel = self.peers.channel(&address, purpose)?;
            let called = tokio::time::timeout(attempt, make(channel, attempt)).await;
            let status = match called {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::from_error(Box::new(TimedOut)),
            };
            let (origin, detail) = classify(&status);
            let from_node = origin == Origin::Node;
            let is_named =
                !Attempts::is_answer(&detail, from_node) && self.failed_over(purpose, &address, origin, &detail);
            match attempts.failed(&detail, (from_node, is_named), Instant::now() >= found_by, candidates) {
                Next::Answered => return Err(detail),
                Next::GiveUp => return Err(unreachable(&detail, attempts.outcome())),
                Next::Again => {}
                Next::AgainAfter(pause) => {
                    let left = end.saturating_duration_since(Instant::now());
                    tokio::time::sleep(jittered(pause).min(left)).await;
                }
            }
        }
    }

    /// For administration: its answers may speak of every partition.
    pub(super) fn admin(channel: Channel) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn controller(channel: Channel) -> ControllerServiceClient<Channel> {
        ControllerServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    async fn describe(&self) -> Result<v1::DescribeClusterResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::Always, |channel, timeout| async move {
            let mut request = tonic::Request::new(v1::DescribeClusterRequest {});
            request.set_timeout(timeout);
            of_a_cluster(Self::admin(channel).describe_cluster(request).await)
        })
        .await
    }

    /// Which cluster the controllers form. NO_QUORUM while they form none yet.
    pub async fn cluster_id(&self) -> Result<ClusterId, ErrorDetail> {
        let answer = self.describe().await?;
        Ok(holdfast_proto::convert::required_id(&answer.cluster_id, "cluster_id")?)
    }

    /// The registration under a broker's id, as far as the controller that answers has applied.
    pub(super) async fn registration(&self, broker_id: BrokerId) -> Result<Option<v1::BrokerInfo>, ErrorDetail> {
        self.registration_and_version(broker_id).await.map(|(registration, _)| registration)
    }

    /// As [`Self::registration`], and a metadata version that is finalised: perhaps a newer one is by now.
    pub(super) async fn registration_and_version(
        &self,
        broker_id: BrokerId,
    ) -> Result<(Option<v1::BrokerInfo>, MetadataVersion), ErrorDetail> {
        let answer = self.describe().await?;
        let registration = answer.brokers.into_iter().find(|broker| broker.broker_id == broker_id.0);
        Ok((registration, MetadataVersion(answer.metadata_version)))
    }

    /// A block of producer ids, as its first id and their number.
    pub(super) async fn allocate_producer_ids(&self, identity: &Identity) -> Result<(ProducerId, u32), ErrorDetail> {
        let request = v1::AllocateProducerIdsRequest {
            header: Some(header(identity)?),
            broker_id: identity.broker_id.0,
            broker_epoch: identity.broker_epoch().0,
        };
        // A block that got lost on the way is lost for good, which harms nobody.
        let answer = self
            .call(self.timeout, Repeat::Always, |channel, _| {
                let request = request.clone();
                async move { Self::controller(channel).allocate_producer_ids(request).await }
            })
            .await?;
        if answer.count == 0 || answer.first_producer_id < 0 {
            return Err(ErrorDetail::new(ErrorCode::UnknownServerError, "the controller gave an empty block of ids"));
        }
        Ok((ProducerId(answer.first_producer_id), answer.count))
    }

    /// Starts a controlled shutdown (`stopped` false), or says that it is done.
    pub async fn controlled_shutdown(
        &self,
        identity: &Identity,
        stopped: bool,
        deadline: Duration,
    ) -> Result<ShutdownProgress, ErrorDetail> {
        let request = v1::ControlledShutdownRequest {
            header: Some(header(identity)?),
            broker_id: identity.broker_id.0,
            broker_epoch: identity.broker_epoch().0,
            stopped,
        };
        let answer = self
            .call(deadline, Repeat::Always, |channel, _| {
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
        self.call(self.timeout, Repeat::IfNotDone, |channel, _| {
            let request = request.clone();
            async move { Self::controller(channel).alter_partitions(request).await }
        })
        .await
    }

    /// Says which replicas this broker does not vouch for. Twice is the same as once.
    pub(super) async fn distrust_replicas(
        &self,
        request: v1::DistrustReplicasRequest,
    ) -> Result<v1::DistrustReplicasResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::Always, |channel, _| {
            let request = request.clone();
            async move { Self::controller(channel).distrust_replicas(request).await }
        })
        .await
    }

    /// Registers this start of the broker.
    pub(super) async fn register(
        &self,
        request: v1::RegisterBrokerRequest,
    ) -> Result<v1::RegisterBrokerResponse, ErrorDetail> {
        self.call(self.timeout, Repeat::Always, |channel, _| {
            let request = request.clone();
            async move { Self::controller(channel).register_broker(request).await }
        })
        .await
    }
}

/// The answer, if it is one: who belongs to no cluster is as one that is not active.
pub(super) fn of_a_cluster(
    answer: Result<Response<v1::DescribeClusterResponse>, Status>,
) -> Result<Response<v1::DescribeClusterResponse>, Status> {
    match answer {
        Ok(response) if response.get_ref().cluster_id.is_empty() => {
            let message = "this controller belongs to no cluster yet";
            Err(ErrorDetail::new(ErrorCode::NotController, message).into())
        }
        answer => answer,
    }
}

/// A local timeout of one attempt.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct TimedOut;

/// The error of a call that no controller answered: the caller asked this broker, which is there.
fn unreachable(detail: &ErrorDetail, outcome: Outcome) -> ErrorDetail {
    let message = format!("no active controller answered in time; the last failure was {detail}");
    ErrorDetail::new(ErrorCode::NoQuorum, message).with_outcome(outcome)
}
