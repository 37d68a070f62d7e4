//! Which nodes answer, asked of themselves: the controllers count a broker as alive until its session is over.

use std::time::Duration;

use futures::{StreamExt, stream};

use holdfast_proto::{error::ErrorCode, v1};

use super::Admin;
use crate::{
    connection::{Effect, call},
    error::Error,
};

/// Nodes that are asked at the same time, each over a connection of its own.
const AT_ONCE: usize = 64;

/// Time beyond that for the connection in which a node at an address has to say something.
const SAYS_SOMETHING: Duration = Duration::from_secs(2);

/// What is found at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A process that answers, if only to refuse: one that recovers its logs does.
    Answers,
    /// Something takes the connection and says nothing: a process that is paused or hangs, or a proxy before nobody.
    Silent,
    /// No connection can be made.
    Nobody,
}

impl Admin {
    /// Whether a process is there at this address, `host:port`, of clients or of other nodes; registered or not. `None` with
    /// `one_address`: there every address leads to the same broker.
    pub async fn presence(&self, address: &str) -> Result<Option<Presence>, Error> {
        let config = self.client.config();
        if config.one_address {
            return Ok(None);
        }
        let mut client = self.client.connections().admin(address)?;
        let limit = config.connect_timeout + SAYS_SOMETHING;
        let rpc = |request| async move { client.get_metadata(request).await };
        let request = v1::GetMetadataRequest::default();
        let found = match call(address, "GetMetadata", Effect::Reads, limit, request, rpc).await {
            Err(Error::NotConnected { .. }) => Presence::Nobody,
            Err(Error::DeadlineExceeded { .. }) => Presence::Silent,
            Err(Error::Broken { detail, .. }) if detail.code == ErrorCode::BrokerNotAvailable => Presence::Silent,
            Ok(_) | Err(_) => Presence::Answers,
        };
        Ok(Some(found))
    }

    /// For each of these brokers and controllers, `host:port`, whether it answers within `limit`; an answer that
    /// refuses is an answer. They are asked side by side, so many at once that only a very large cluster takes longer.
    ///
    /// Empty with `one_address`: there every address leads to the same broker, which tells nothing of the others.
    pub async fn answering(&self, addresses: &[String], limit: Duration) -> Vec<bool> {
        if self.client.config().one_address {
            return Vec::new();
        }
        let asked = addresses.iter().map(|address| async move {
            let mut client = self.client.connections().admin(address)?;
            let rpc = |request| async move { client.get_metadata(request).await };
            call(address, "GetMetadata", Effect::Reads, limit, v1::GetMetadataRequest::default(), rpc).await.map(|_| ())
        });
        let answers = stream::iter(asked).buffered(AT_ONCE);
        answers.map(|answer| matches!(answer, Ok(()) | Err(Error::Rejected(_)))).collect().await
    }

    /// What each of these controllers, `host:port`, says of the cluster itself within `limit`, a quorum or not; `None` for
    /// one that does not answer. Empty with `one_address`, as [`Self::answering`].
    pub async fn describe_each(
        &self,
        addresses: &[String],
        limit: Duration,
    ) -> Vec<Option<v1::DescribeClusterResponse>> {
        if self.client.config().one_address {
            return Vec::new();
        }
        let asked = addresses.iter().map(|address| async move {
            let mut client = self.client.connections().admin(address)?;
            let rpc = |request| async move { client.describe_cluster(request).await };
            call(address, "DescribeCluster", Effect::Reads, limit, v1::DescribeClusterRequest {}, rpc).await
        });
        stream::iter(asked).buffered(AT_ONCE).map(Result::ok).collect().await
    }
}
