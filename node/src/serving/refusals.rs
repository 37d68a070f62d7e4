//! Refusals that the gRPC library makes by itself, told as ours: a request that is too large or malformed reaches no
//! service, and without this its status would name no error.
//!
//! What the error is, and which statuses are left as they are, [`holdfast_proto::status::named`] says.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use holdfast_proto::status::named;

/// Puts names to the refusals of all services behind it.
#[derive(Clone, Copy, Debug)]
pub struct RefusalLayer;

impl<S> Layer<S> for RefusalLayer {
    type Service = RefusalService<S>;

    fn layer(&self, next: S) -> RefusalService<S> {
        RefusalService(next)
    }
}

/// The service behind it.
#[derive(Clone, Debug)]
pub struct RefusalService<S>(S);

impl<S> Service<Request<Body>> for RefusalService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let called = self.0.call(request);
        Box::pin(async move {
            let response = called.await?;
            // A refusal has no message: its status stands in the headers.
            let refused = Status::from_header_map(response.headers()).and_then(|status| named(&status));
            Ok(refused.map_or(response, Status::into_http))
        })
    }
}
