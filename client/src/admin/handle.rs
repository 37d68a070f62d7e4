//! The handle, and how its calls are repeated.

use std::{future::Future, time::Duration};

use tonic::{Request, Response, Status, transport::Channel};
use tracing::debug;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{error::ErrorCode, v1};

use crate::{
    Client,
    connection::{Effect, call},
    deadline::{Deadline, LEAST_ATTEMPT},
    error::Error,
};

type AdminClient = v1::admin_service_client::AdminServiceClient<Channel>;

/// How long a broker may take to learn of a change before another is asked.
const CATCH_UP: Duration = Duration::from_secs(2);

/// How long one broker may take to answer what may be repeated, before another is asked.
const REPEATABLE_ATTEMPT: Duration = Duration::from_secs(3);

/// Administration of the cluster that the client is connected to.
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) client: Client,
}

impl Client {
    /// Topics, settings, and the state of the cluster.
    pub fn admin(&self) -> Admin {
        Admin { client: self.clone() }
    }
}

impl Admin {
    /// The controllers, the brokers, and counts of partitions in trouble.
    pub async fn describe_cluster(&self) -> Result<v1::DescribeClusterResponse, Error> {
        let request = v1::DescribeClusterRequest {};
        let (_, response) = self
            .retry("DescribeCluster", self.deadline(), Repeat::Read, &request, |mut client, request| async move {
                client.describe_cluster(request).await
            })
            .await?;
        Ok(response)
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.client.config().admin_timeout)
    }

    /// Waits until the brokers that the client knows have applied the change. One that does not is waited for briefly
    /// only: the change is committed, that a broker lags is no failure of it.
    pub(super) async fn wait_for_index(&self, index: u64, deadline: Deadline) {
        let addresses = self.client.metadata().addresses();
        let asked = addresses.iter().map(|address| {
            let request = v1::GetMetadataRequest { min_index: index, ..Default::default() };
            async move {
                let mut client = self.client.connections().admin(address)?;
                let limit = CATCH_UP.min(deadline.left());
                let rpc = |request| async move { client.get_metadata(request).await };
                call(address, "GetMetadata", Effect::Reads, limit, request, rpc).await.map(|_| ())
            }
        });
        for error in futures::future::join_all(asked).await.into_iter().filter_map(Result::err) {
            debug!(%error, index, "a broker was not seen to apply the change");
        }
    }

    pub(super) async fn retry<Q: Clone, R, F>(
        &self,
        what: &str,
        deadline: Deadline,
        repeat: Repeat,
        request: &Q,
        rpc: impl Fn(AdminClient, Request<Q>) -> F,
    ) -> Result<(String, R), Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let config = self.client.config();
        let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let mut last: Option<Error> = None;
        loop {
            if repeat == Repeat::IfNotDone {
                // Finds a broker that answers: a change that a silent one swallows would be in doubt.
                if let Err(error) = self.client.metadata().refresh(deadline).await {
                    debug!(%error, "no broker answers");
                    last.get_or_insert(error);
                }
            }
            let addresses = self.client.metadata().addresses();
            let mut unknown = 0;
            for address in &addresses {
                // A call that has hardly any time would hide what the ones before it met.
                if deadline.left() < LEAST_ATTEMPT
                    && let Some(error) = last
                {
                    return Err(error);
                }
                let client = self.client.connections().admin(address)?;
                let limit = repeat.limit(config.request_timeout).min(deadline.left());
                let rpc = |request| rpc(client, request);
                let error = match call(address, what, repeat.effect(), limit, request.clone(), rpc).await {
                    Ok(response) => return Ok((address.clone(), response)),
                    Err(error) => error,
                };
                debug!(%error, address, what, "administrative call failed");
                let may_repeat = repeat != Repeat::IfNotDone || !error.is_in_doubt();
                unknown += usize::from(names_nothing(&error));
                let is_final = names_nothing(&error) && (repeat != Repeat::Read || unknown == addresses.len());
                if !error.is_retriable() || !may_repeat || is_final {
                    return Err(error);
                }
                // What a node answers says more than that another one is gone.
                if !last.as_ref().is_some_and(was_answered) || was_answered(&error) {
                    last = Some(self.client.metadata().explain(error));
                }
            }
            if deadline.is_over() {
                let nobody = || Error::Unreachable { tried: 0, last: "no address is known".to_owned() };
                return Err(last.unwrap_or_else(nobody));
            }
            self.client.metadata().request_refresh();
            deadline.pause(jittered(backoff.next_pause())).await;
        }
    }
}

/// What a call may do when it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only reads: repeated after any error that may pass.
    Read,
    /// It changes something, but twice is the same as once: repeated after any error that may pass.
    Always,
    /// It changes something: only if it surely has not.
    IfNotDone,
}

impl Repeat {
    const fn effect(self) -> Effect {
        match self {
            Self::Read => Effect::Reads,
            Self::Always | Self::IfNotDone => Effect::Changes,
        }
    }

    /// How long one broker may take of the time that a request has.
    fn limit(self, request_timeout: Duration) -> Duration {
        match self {
            Self::Read | Self::Always => request_timeout.min(REPEATABLE_ATTEMPT),
            Self::IfNotDone => request_timeout,
        }
    }
}

/// True if a node was reached.
const fn was_answered(error: &Error) -> bool {
    !matches!(error, Error::NotConnected { .. } | Error::Advertised { .. } | Error::Unreachable { .. })
}

/// True if what the request names is not there. The table calls that passing, for a broker may not have heard of a topic
/// yet; of a change the active controller says it, and of a read every broker.
fn names_nothing(error: &Error) -> bool {
    let Error::Rejected(detail) = error else { return false };
    matches!(
        detail.code,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId | ErrorCode::BrokerIdNotRegistered
    )
}
