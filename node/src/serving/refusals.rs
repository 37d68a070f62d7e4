//! Refusals that the gRPC library makes by itself, told as ours: a request that is too large or malformed reaches no
//! service, and without this its status would name no error.
//!
//! What the error is, and which statuses are left as they are, [`holdfast_proto::status::named`] says.

use tonic::{Status, body::Body, codegen::http::Response};
use tower::util::MapResponseLayer;

use holdfast_proto::status::named;

/// Puts names to the refusals of all services behind it.
pub fn layer() -> MapResponseLayer<fn(Response<Body>) -> Response<Body>> {
    // A refusal has no message: its status stands in the headers.
    MapResponseLayer::new(|response| {
        let refused = Status::from_header_map(response.headers()).and_then(|status| named(&status));
        refused.map_or(response, Status::into_http)
    })
}
