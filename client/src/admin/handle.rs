//! The handle, and how its calls are repeated.

use std::{future::Future, time::Duration};

use tonic::{Request, Response, Status, transport::Channel};
use tracing::debug;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::v1;

use crate::{Client, connection::call, deadline::Deadline, error::Error};

type AdminClient = v1::admin_service_client::AdminServiceClient<Channel>;

/// How long a broker may take to learn of a change before another is asked.
const CATCH_UP: Duration = Duration::from_secs(2);

/// How long one broker may take to answer a read before another is asked.
const READ_ATTEMPT: Duration = Duration::from_secs(3);

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
            .retry("DescribeCluster", self.deadline(), Repeat::Always, &request, |mut client, request| async move {
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
                call(address, "GetMetadata", limit, request, rpc).await.map(|_| ())
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
        loop {
            if repeat == Repeat::IfNotDone {
                // Finds a broker that answers: a change that a silent one swallows would be in doubt.
                self.client
                    .metadata()
                    .refresh(deadline)
                    .await
                    .unwrap_or_else(|error| debug!(%error, "no broker answers"));
            }
            let mut last = None;
            for address in self.client.metadata().addresses() {
                let client = self.client.connections().admin(&address)?;
                let whole = config.request_timeout.min(deadline.left());
                let limit = if repeat == Repeat::Always { whole.min(READ_ATTEMPT) } else { whole };
                let error = match call(&address, what, limit, request.clone(), |request| rpc(client, request)).await {
                    Ok(response) => return Ok((address, response)),
                    Err(error) => error,
                };
                debug!(%error, address, what, "administrative call failed");
                let may_repeat = repeat == Repeat::Always || !error.is_in_doubt();
                if !error.is_retriable() || !may_repeat || deadline.is_over() {
                    return Err(error);
                }
                last = Some(error);
            }
            let last = last.map_or_else(|| "no address is known".to_owned(), |error| error.to_string());
            if deadline.is_over() {
                return Err(Error::Unreachable { tried: self.client.metadata().addresses().len(), last });
            }
            self.client.metadata().request_refresh();
            deadline.pause(jittered(backoff.next_pause())).await;
        }
    }
}

/// When a call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only reads: repeated after any error that may pass.
    Always,
    /// It changes something: only if it surely has not.
    IfNotDone,
}
