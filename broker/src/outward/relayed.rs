//! The answer to a call that was passed on, and whether its client takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Status, body::Body, codegen::http::HeaderMap};

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

/// One call that is passed on.
#[derive(Default)]
pub(super) struct Call(Mutex<State>);

#[derive(Default)]
enum State {
    /// The target has not begun to answer.
    #[default]
    Asked,
    /// It answers. The time: when something was handed to the client's connection that has not asked for more since.
    Answered(Body, Option<Instant>),
    /// It was closed from here, for others need its place.
    Closed,
    Over,
}

impl Call {
    /// Since when its client takes nothing of what is there for it; `None` while it does, or nothing is there.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        match &*self.0.lock() {
            State::Answered(_, handed) => *handed,
            State::Asked | State::Closed | State::Over => None,
        }
    }

    /// Gives the answer up: what is unread of it is dropped, and the client told if it ever reads on.
    pub(super) fn close(&self) {
        *self.0.lock() = State::Closed;
    }
}

/// The answer's body. The call counts, by `C`, until it is dropped.
pub(super) struct RelayedBody<C> {
    call: Arc<Call>,
    _counted: C,
}

impl<C> RelayedBody<C> {
    /// The answer to this call has begun.
    pub(super) fn new(body: Body, call: Arc<Call>, counted: C) -> Self {
        let mut state = call.0.lock();
        if matches!(*state, State::Asked) {
            *state = State::Answered(body, Some(Instant::now()));
        }
        drop(state);
        Self { call, _counted: counted }
    }
}

impl<C> http_body::Body for RelayedBody<C> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut state = self.call.0.lock();
        let polled = match &mut *state {
            State::Answered(body, handed) => {
                let polled = Pin::new(body).poll_frame(context);
                *handed = polled.is_ready().then(Instant::now);
                polled
            }
            State::Closed => Poll::Ready(Some(Ok(Frame::trailers(closed())))),
            State::Asked | State::Over => Poll::Ready(None),
        };
        let is_last = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if is_last {
            *state = State::Over;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &*self.call.0.lock() {
            State::Answered(body, _) => body.is_end_stream(),
            State::Over => true,
            State::Asked | State::Closed => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.call.0.lock() {
            State::Answered(body, _) => body.size_hint(),
            State::Asked | State::Closed | State::Over => SizeHint::default(),
        }
    }
}

/// The end of a call that was closed from here.
fn closed() -> HeaderMap {
    let message = "the call was ended: its client took nothing for long, and others needed its place; make it again";
    let detail = ErrorDetail::new(ErrorCode::BrokerNotAvailable, message).with_outcome(Outcome::Unknown);
    let mut trailers = HeaderMap::new();
    if Status::from(detail).add_header(&mut trailers).is_err() {
        trailers.clear();
    }
    trailers
}
