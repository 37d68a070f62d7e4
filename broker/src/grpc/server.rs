//! Both ports of a broker: clients on one, brokers on the other, so that no client can pose as a replica.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::{body::Body, codegen::http::Request, transport::Server};
use tower::util::MapRequestLayer;

use holdfast_node::{
    health,
    incoming::{ConnectionInfo, Lifetime, accept, accept_for, listen},
    serving::{http2, reflection, refusals},
    settings::Address,
};
use holdfast_proto::{
    limits::MAX_MESSAGE_BYTES,
    v1::{
        admin_service_server::{self, AdminServiceServer},
        consumer_service_server::{self, ConsumerServiceServer},
        producer_service_server::{self, ProducerServiceServer},
        replica_service_server::ReplicaServiceServer,
    },
};

use super::{
    admin::AdminEdge, arriving::Arrivals, consumer::ConsumerEdge, producer::ProducerEdge, relay::RelayLayer,
    replica::ReplicaEdge, unsent,
};
use crate::{
    config::{
        Config,
        limits::{MAX_FRAME_BYTES, MAX_QUESTION_BYTES, MAX_REQUEST_BYTES},
    },
    exit::Fatal,
    here::context::Context,
    services::all::Services,
};

/// What the client port serves, as reflection lists it.
const CLIENT_SERVICES: [&str; 3] =
    [producer_service_server::SERVICE_NAME, consumer_service_server::SERVICE_NAME, admin_service_server::SERVICE_NAME];

/// The bound ports, not served yet.
pub(crate) struct Listeners {
    client: TcpListener,
    peer: TcpListener,
}

impl Listeners {
    /// Binds both ports. A port in use is named with the option that gave it.
    pub(crate) async fn bind(config: &Config) -> Result<Self, Fatal> {
        let client = bind(&config.client_listen, "client_listen").await?;
        let peer = bind(&config.peer_listen, "peer_listen").await?;
        Ok(Self { client, peer })
    }

    /// The ports that were bound, for clients and for peers.
    pub(crate) fn ports(&self) -> std::io::Result<(u16, u16)> {
        Ok((self.client.local_addr()?.port(), self.peer.local_addr()?.port()))
    }
}

async fn bind(address: &Address, option: &'static str) -> Result<TcpListener, Fatal> {
    listen((address.host.trim_matches(['[', ']']), address.port)).await.map_err(|error| Fatal::AddressInUse {
        address: address.to_string(),
        option,
        reason: error.to_string(),
    })
}

/// The running servers of both ports.
pub(crate) struct Servers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Starts to serve clients and nodes on their ports. Fails if a thread or a runtime cannot be had.
    pub(crate) fn start(context: &Arc<Context>, services: &Arc<Services>, listeners: Listeners) -> Result<Self, Fatal> {
        let (stop, stopped) = watch::channel(false);
        let (health, reporting) = health::service(&context.state.probes);
        let reporting = tokio::spawn(reporting);
        let (reflection, older_reflection) = reflection::services(&CLIENT_SERVICES)
            .map_err(|error| Fatal::Failure(format!("server reflection: {error}")))?;
        let config = &context.config;
        let lifetime = lifetime(config);
        let mut clients = builder(config);
        if let Some(Lifetime { age, .. }) = lifetime {
            // Without tonic's own grace: with it no GOAWAY would be sent. The connection itself keeps to the grace.
            clients = clients.max_connection_age(age);
        }
        let close_stalled = {
            let context = Arc::clone(context);
            move || context.logs.consumers.memory.close_stalled()
        };
        let arrivals = Arrivals::new(services.produce.budget.arriving_bytes(), close_stalled);
        let clients = clients
            .layer(RelayLayer(Arc::clone(context)))
            .layer(unsent::layer())
            .layer(refusals::layer())
            // Within the relay: what is sent on is not gathered here.
            .layer(MapRequestLayer::new(move |request: Request<Body>| {
                let source = ConnectionInfo::source_of(request.extensions());
                request.map(|inner| arrivals.body(source, inner))
            }))
            .add_service(health.clone())
            .add_service(reflection)
            .add_service(older_reflection)
            .add_service(
                ProducerServiceServer::new(ProducerEdge::new(Arc::clone(context), Arc::clone(services)))
                    .max_decoding_message_size(MAX_REQUEST_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(
                ConsumerServiceServer::new(ConsumerEdge::new(Arc::clone(context), Arc::clone(services)))
                    .max_decoding_message_size(MAX_QUESTION_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(
                AdminServiceServer::new(AdminEdge::new(Arc::clone(context), Arc::clone(services)))
                    .max_decoding_message_size(MAX_QUESTION_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            );
        let peers = builder(config).layer(unsent::layer()).layer(refusals::layer()).add_service(health).add_service(
            ReplicaServiceServer::new(ReplicaEdge::new(Arc::clone(context)))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        );
        let limit = config.max_connections as usize;
        let ended = || {
            let mut stopped = stopped.clone();
            async move { drop(stopped.wait_for(|stopped| *stopped).await) }
        };
        let clients = clients.serve_with_incoming_shutdown(accept_for(listeners.client, limit, lifetime), ended());
        let peers = peers.serve_with_incoming_shutdown(accept(listeners.peer, limit), ended());
        let tasks = vec![reporting, serve(context, "clients", clients), serve(context, "peers", peers)];
        Ok(Self { stop, tasks })
    }

    /// Accepts nothing any more, and ends every connection after `grace`.
    pub(crate) async fn stop(self, grace: Duration) {
        self.stop.send_replace(true);
        let mut tasks = self.tasks.into_iter();
        if let Some(reporting) = tasks.next() {
            reporting.abort();
        }
        let deadline = tokio::time::Instant::now() + grace;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Serves one port until it is stopped.
fn serve(
    context: &Arc<Context>,
    name: &'static str,
    serving: impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
) -> JoinHandle<()> {
    let context = Arc::clone(context);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            context.state.fail(Fatal::Failure(format!("serving {name}: {error}")));
        }
    })
}

/// How long a client's connection may last. Brokers keep theirs.
fn lifetime(config: &Config) -> Option<Lifetime> {
    let lifetime = Lifetime {
        age: Duration::from_millis(config.max_connection_age_ms),
        grace: Duration::from_millis(config.max_connection_age_grace_ms),
    };
    (!lifetime.age.is_zero()).then_some(lifetime)
}

fn builder(config: &Config) -> Server {
    http2::bounded(Server::builder(), config.max_streams_per_connection)
        .initial_stream_window_size(config.http2_stream_window_bytes)
        .initial_connection_window_size(config.http2_connection_window_bytes)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_keepalive_interval(Some(Duration::from_millis(config.http2_keep_alive_interval_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(config.http2_keep_alive_timeout_ms)))
}
