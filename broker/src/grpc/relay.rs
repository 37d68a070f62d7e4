//! One address is enough: a call for another broker is passed on to it.
//!
//! A client that reaches one broker alone, as through a port that is forwarded to a pod, sends every call there, and names
//! in `:authority` the broker that it means: the address that this broker tells clients. Such a call travels on
//! unread and unchanged, streams too. A call for this broker, or under any other name (a bootstrap address, an
//! address that no broker has), is served here.
//!
//! Each client's connection has one of its own to each target (`outward::Relays`), so that no client that stands still
//! stops another.
//!
//! A relayed call is marked and never relayed again, so there is no loop. The target fences as ever: nothing about
//! acknowledgements changes.

use std::{sync::Arc, task::Poll, time::Duration};

use futures::future::{BoxFuture, Either};
use tonic::{
    Status,
    body::Body,
    codegen::http::{HeaderValue, Request, Response},
};
use tower::{Layer, Service};

use holdfast_node::incoming::ConnectionInfo;
use holdfast_proto::forward::INDEX_WAIT;

use crate::{config::Config, here::context::Context};

/// Marks a call that another broker relayed.
const RELAYED: &str = "holdfast-relayed";
/// How long a client waits, as gRPC tells it. The connection to the target keeps to it.
const TIMEOUT: &str = "grpc-timeout";
/// No answer takes longer to begin.
const LONGEST: Duration = Duration::from_hours(1);

/// Puts the relay before the services of the client port.
#[derive(Clone)]
pub(super) struct RelayLayer(pub(super) Arc<Context>);

impl<S> Layer<S> for RelayLayer {
    type Service = Relay<S>;

    fn layer(&self, next: S) -> Relay<S> {
        Relay { context: Arc::clone(&self.0), next }
    }
}

/// The service behind it, and where calls for other brokers go.
#[derive(Clone)]
pub(super) struct Relay<S> {
    context: Arc<Context>,
    next: S,
}

impl<S> Relay<S> {
    /// The address of the broker that the call is for, if it is another.
    fn target(&self, request: &Request<Body>) -> Option<String> {
        let named = request.uri().authority()?.as_str();
        if named == self.context.identity.addresses.client || request.headers().contains_key(RELAYED) {
            return None;
        }
        let image = self.context.metadata.look();
        let others = image.brokers().values().filter(|broker| broker.broker_id != self.context.identity.broker_id);
        others.map(|broker| &broker.client_address).find(|address| *address == named).cloned()
    }
}

impl<S> Service<Request<Body>> for Relay<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.next.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.target(&request) {
            None => Either::Left(self.next.call(request)),
            Some(address) => {
                let context = Arc::clone(&self.context);
                Either::Right(Box::pin(async move {
                    Ok(relay(&context, &address, request).await.unwrap_or_else(Status::into_http))
                }))
            }
        }
    }
}

/// Passes the call on.
async fn relay(context: &Context, address: &str, mut request: Request<Body>) -> Result<Response<Body>, Status> {
    request.headers_mut().insert(RELAYED, HeaderValue::from_static("1"));
    let client = request.extensions().get::<ConnectionInfo>().and_then(|info| info.tcp.remote_addr());
    let limit = limit(&context.config, request.headers().contains_key(TIMEOUT));
    Ok(context.nodes.relays.pass(client, address, request, limit).await?)
}

/// How long the target may take until it begins to answer. Where the client says itself how long it waits, that holds, and
/// this only for one that says for ever.
fn limit(config: &Config, is_said: bool) -> Duration {
    let longest = config.produce_timeout_ms.max(config.fetch_max_wait_ms) + config.peer_rpc_timeout_ms;
    if is_said { LONGEST } else { (Duration::from_millis(longest) + INDEX_WAIT).min(LONGEST) }
}
