//! The controller's one port.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tonic::transport::Server;

use holdfast_node::{
    health::{self, Probes},
    incoming::accept,
    serving::{http2, reflection, refusals},
};
use holdfast_proto::v1::{
    admin_service_server::{self, AdminServiceServer},
    controller_service_server::{self, ControllerServiceServer},
    raft_service_server::{self, RaftServiceServer},
};

use super::{admin::AdminEdge, controller_service::ControllerEdge, raft_service::RaftEdge};
use crate::{
    actors::SessionsHandle,
    agreement::Agreement,
    channels::Channels,
    config::Config,
    identity::DataDir,
    node::Node,
    quorum::keeper::Keeper,
    raft::{Inbound, MAX_MESSAGE_BYTES},
};

/// What the port serves, as reflection lists it.
const SERVICES: [&str; 3] =
    [raft_service_server::SERVICE_NAME, controller_service_server::SERVICE_NAME, admin_service_server::SERVICE_NAME];
/// Streams of one connection at once. Past it the client waits.
const MAX_STREAMS: u32 = 1_000;
/// Bytes of a request of brokers and operators: the largest holds 10,000 ISR changes.
const MAX_REQUEST_BYTES: usize = 8 << 20;
/// A ping after this long on an idle connection, and its deadline.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What the port serves.
pub(crate) struct Edge {
    pub(crate) config: Arc<Config>,
    pub(crate) data: Arc<DataDir>,
    pub(crate) node: Node,
    pub(crate) sessions: SessionsHandle,
    pub(crate) channels: Channels,
    pub(crate) inbound: Inbound,
    pub(crate) keeper: Keeper,
    pub(crate) agreement: Agreement,
    pub(crate) probes: Probes,
}

/// Serves until `stop` resolves.
pub(crate) async fn serve(edge: Edge, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let Edge { config, data, node, sessions, channels, inbound, keeper, agreement, probes } = edge;
    let (health, reporting) = health::service(&probes);
    let reporting = tokio::spawn(reporting);
    let (reflection, older_reflection) = reflection::services(&SERVICES).map_err(io::Error::other)?;
    let limit = config.max_connections as usize;
    let admin = AdminEdge::new(node.clone(), channels, agreement.clone(), keeper.operator(), sessions.clone());
    let raft = RaftEdge { config, data, node: node.clone(), inbound, keeper, agreement };
    let served = http2::bounded(Server::builder(), MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .layer(refusals::layer())
        .add_service(health)
        .add_service(reflection)
        .add_service(older_reflection)
        .add_service(
            RaftServiceServer::new(raft)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            ControllerServiceServer::new(ControllerEdge::new(node, sessions))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            AdminServiceServer::new(admin)
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .serve_with_incoming_shutdown(accept(listener, limit), stop)
        .await;
    reporting.abort();
    served.map_err(io::Error::other)
}
