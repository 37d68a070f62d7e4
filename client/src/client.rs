//! The handle to one cluster that producers, consumers and administration share.

use std::sync::Arc;

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::ids::ClusterId;

use crate::{
    config::ClientConfig,
    connection::Connections,
    deadline::Deadline,
    error::Error,
    metadata::{ClusterView, Metadata},
};

/// How often the start asks the bootstrap list. One address may stand for several brokers (a Service of Kubernetes), of
/// which the first that is met is just being replaced; an address that is plainly wrong is told within a second.
const CONNECT_ATTEMPTS: u32 = 5;

/// A client of one cluster: connections and knowledge of the cluster. Cheap to clone; the clones share both.
#[derive(Clone, Debug)]
pub struct Client {
    connections: Arc<Connections>,
    metadata: Arc<Metadata>,
}

impl Client {
    /// Connects: fails if no broker of the bootstrap list answers at one of a few attempts, after `connect_timeout` +
    /// `request_timeout` at the latest.
    ///
    /// Must be called within a tokio runtime.
    pub async fn connect(config: ClientConfig) -> Result<Self, Error> {
        let config = config.bounded();
        let deadline = Deadline::after(config.connect_timeout + config.request_timeout);
        let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let client = Self::new(config)?;
        for _ in 1..CONNECT_ATTEMPTS {
            match client.metadata.refresh(deadline).await {
                Err(error) if error.is_retriable() && !deadline.is_over() => {
                    deadline.pause(jittered(backoff.next_pause())).await;
                }
                result => return result.map(|()| client),
            }
        }
        client.metadata.refresh(deadline).await.map(|()| client)
    }

    /// The client without a first call: the cluster may still be down. Must be called within a tokio runtime.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        config.validate()?;
        let config = config.bounded();
        let connections = Arc::new(Connections::new(config));
        let metadata = Metadata::start(Arc::clone(&connections));
        Ok(Self { connections, metadata })
    }

    /// The settings that the client was made with.
    pub fn config(&self) -> &ClientConfig {
        self.connections.config()
    }

    /// The cluster's id, once a broker has answered.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.metadata.view().cluster_id
    }

    /// What the client knows of the cluster now: the topics that it uses, and all brokers.
    pub fn view(&self) -> Arc<ClusterView> {
        self.metadata.view()
    }

    /// Why brokers that producers and consumers of this client need could not be reached at the last attempt.
    pub fn unreachable_brokers(&self) -> Vec<Error> {
        self.metadata.unreachable()
    }

    pub(crate) const fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    pub(crate) const fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }
}
