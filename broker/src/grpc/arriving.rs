//! Messages on their way in: how much of them the broker keeps, and for how long.
//!
//! gRPC's library gathers a message until its last byte is there, as many bytes as the message announces. So who
//! announces much and sends nearly all of it would have that memory for nothing, on every stream. Here the announced
//! bytes of a message take room before more of it is read than its first piece; while there is none, and the client has
//! no window, its bytes stay where they are. A message whose last byte is late is refused, and its room is free again.
//! What a message holds once it is whole, the services count.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Sleep, sleep},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use holdfast_node::{closer::Closer, incoming::ConnectionInfo};
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::config::limits::MAX_REQUEST_BYTES;

/// From a message's first byte to its last, with the wait for room: the largest at a megabyte a second, and some more.
const ARRIVAL: Duration = Duration::from_secs(30);

/// How often it is looked, after that time, whether others lack the room of a message that nobody reads any further.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What one permit stands for, bytes.
const UNIT_BYTES: usize = 1024;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Has all requests behind it take room in one budget as they arrive.
#[derive(Clone)]
pub(super) struct ArrivingLayer(Arrivals);

#[derive(Clone)]
struct Arrivals {
    room: Arc<Semaphore>,
    /// As [`ARRIVAL`] says it; tests wait less.
    within: Duration,
}

impl ArrivingLayer {
    /// A budget of `bytes`, or of one largest message if that is more.
    pub(super) fn new(bytes: usize) -> Self {
        let room = Arc::new(Semaphore::new(bytes.max(MAX_REQUEST_BYTES + UNIT_BYTES) / UNIT_BYTES));
        Self(Arrivals { room, within: ARRIVAL })
    }
}

impl<S> Layer<S> for ArrivingLayer {
    type Service = ArrivingService<S>;

    fn layer(&self, next: S) -> ArrivingService<S> {
        ArrivingService { next, arrivals: self.0.clone() }
    }
}

/// The service behind it.
#[derive(Clone)]
pub(super) struct ArrivingService<S> {
    next: S,
    arrivals: Arrivals,
}

impl<S> Service<Request<Body>> for ArrivingService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.next.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let closer = request.extensions().get::<ConnectionInfo>().map(|info| info.closer.clone()).unwrap_or_default();
        let arrivals = self.arrivals.clone();
        let body = |inner| ArrivingBody { inner, arrivals, closer, seen: Messages::default(), partial: None };
        self.next.call(request.map(|inner| Body::new(body(inner))))
    }
}

/// A body of which no more is read than there is room for.
struct ArrivingBody {
    inner: Body,
    arrivals: Arrivals,
    closer: Closer,
    seen: Messages,
    /// What the message holds of which a part is there.
    partial: Option<Partial>,
}

/// A message of which a part is there.
struct Partial {
    room: Room,
    late: Pin<Box<Sleep>>,
    _watched: AbortOnDropHandle<()>,
}

enum Room {
    Waiting(BoxFuture<'static, Option<OwnedSemaphorePermit>>),
    Held { _permit: Option<OwnedSemaphorePermit> },
}

impl Partial {
    fn new(arrivals: &Arrivals, closer: &Closer, announced: usize) -> Self {
        let Arrivals { room, within } = arrivals;
        // What is larger than any message is refused by who reads its length.
        let units = u32::try_from(announced.min(MAX_REQUEST_BYTES) / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let taking = Arc::clone(room).acquire_many_owned(units);
        let watched = tokio::spawn(watch(Arc::clone(room), closer.clone(), *within));
        Self {
            room: Room::Waiting(Box::pin(async { taking.await.ok() })),
            late: Box::pin(sleep(*within)),
            _watched: AbortOnDropHandle::new(watched),
        }
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Room::Waiting(taking) = &mut self.room {
            self.room = Room::Held { _permit: ready!(taking.as_mut().poll(context)) };
        }
        Poll::Ready(())
    }
}

/// Ends the connection of a message that is late and still holds its room, when others may need that: its stream is not
/// read, as when its client takes none of the answers before it.
async fn watch(room: Arc<Semaphore>, closer: Closer, within: Duration) {
    sleep(within).await;
    loop {
        sleep(LOOK_EVERY.min(within)).await;
        if room.available_permits() * UNIT_BYTES < MAX_REQUEST_BYTES {
            closer.close();
        }
    }
}

impl http_body::Body for ArrivingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(partial) = &mut this.partial {
            if partial.late.as_mut().poll(context).is_ready() {
                this.partial = None;
                let message = format!("a message was not whole after {:?}; send it again", this.arrivals.within);
                return Poll::Ready(Some(Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message).into())));
            }
            ready!(partial.poll_room(context));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let is_other = this.seen.take(bytes);
            match this.seen.announced() {
                None => this.partial = None,
                // The same one as before holds its room.
                Some(announced) if is_other || this.partial.is_none() => {
                    this.partial = None;
                    this.partial = Some(Partial::new(&this.arrivals, &this.closer, announced));
                }
                Some(_) => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// Where messages end in what has come. Pure.
#[derive(Debug, Default)]
struct Messages {
    /// Bytes of the next prefix that are there.
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    /// Bytes of the message that are still to come, and all of it.
    message: Option<(usize, usize)>,
}

impl Messages {
    /// More has come. True if a message ended in it: one that is partial now is another one.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while !bytes.is_empty() {
            if let Some((left, _)) = &mut self.message {
                let taken = bytes.len().min(*left);
                *left -= taken;
                bytes = &bytes[taken..];
            } else {
                let taken = bytes.len().min(PREFIX_BYTES - self.prefix_len);
                self.prefix[self.prefix_len..self.prefix_len + taken].copy_from_slice(&bytes[..taken]);
                self.prefix_len += taken;
                bytes = &bytes[taken..];
                if self.prefix_len == PREFIX_BYTES {
                    let [_, a, b, c, d] = self.prefix;
                    let size = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.message = Some((size, size));
                    self.prefix_len = 0;
                }
            }
            if let Some((0, _)) = self.message {
                self.message = None;
                has_ended = true;
            }
        }
        has_ended
    }

    /// Bytes of the message of which a part is there; `None` between two messages.
    fn announced(&self) -> Option<usize> {
        match self.message {
            Some((_, size)) => Some(size),
            None => (self.prefix_len > 0).then_some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use http_body::Body as _;

    use holdfast_eventually::until;
    use holdfast_proto::status::from_status;

    use super::*;

    fn message(size: u32, sent: usize) -> Vec<u8> {
        [&[0][..], &size.to_be_bytes(), &vec![7; sent]].concat()
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let all = [message(3, 3), message(0, 0), message(300, 300), message(1, 1)].concat();
        for piece in 1..all.len() {
            let mut messages = Messages::default();
            let ends = all.chunks(piece).filter(|bytes| messages.take(bytes)).count();
            assert!(ends >= 1 && messages.announced().is_none(), "{piece}");
        }
        let mut messages = Messages::default();
        assert!(!messages.take(&message(300, 299)));
        assert_eq!(messages.announced(), Some(300));
        assert!(messages.take(&[7, 0]), "its end, and the first byte of another");
        assert_eq!(messages.announced(), Some(0));
    }

    fn arriving(layer: &ArrivingLayer, pieces: Vec<Vec<u8>>) -> ArrivingBody {
        let frames =
            futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece)))));
        let inner = Body::new(Pieces(frames.chain(futures::stream::pending()).boxed()));
        let (arrivals, closer) = (layer.0.clone(), Closer::default());
        ArrivingBody { inner, arrivals, closer, seen: Messages::default(), partial: None }
    }

    struct Pieces(futures::stream::BoxStream<'static, Result<Frame<Bytes>, Status>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            self.0.poll_next_unpin(context)
        }
    }

    async fn next(body: &mut ArrivingBody) -> usize {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.expect("a frame").expect("bytes").into_data().map_or(0, |bytes| bytes.len())
    }

    #[tokio::test]
    async fn no_more_is_read_of_messages_than_there_is_room_for() {
        const LARGE: u32 = 10 << 20;
        let layer = ArrivingLayer::new(0);
        let first = message(LARGE, 1_000);
        let rest = vec![7; LARGE as usize - 1_000];
        let [mut one, mut two] = [(); 2].map(|()| arriving(&layer, vec![first.clone(), rest.clone(), message(1, 1)]));
        assert_eq!((next(&mut one).await, next(&mut two).await), (1_005, 1_005));
        assert_eq!(next(&mut one).now_or_never(), Some(rest.len()), "the room is for one of them");
        let mut small = arriving(&layer, vec![message(5, 5), message(5, 5)]);
        assert_eq!((next(&mut small).now_or_never(), next(&mut small).now_or_never()), (Some(10), Some(10)));
        assert_eq!(next(&mut two).now_or_never(), Some(rest.len()), "the first is whole");
        let [mut one, mut two] = [(); 2].map(|()| arriving(&layer, vec![first.clone(), vec![7; 1_000], rest.clone()]));
        assert_eq!((next(&mut one).await, next(&mut two).await), (1_005, 1_005));
        assert_eq!((next(&mut one).now_or_never(), next(&mut two).now_or_never()), (Some(1_000), None));
        drop(one);
        assert_eq!(next(&mut two).now_or_never(), Some(1_000), "who leaves gives its room back");
    }

    #[tokio::test]
    async fn a_message_whose_end_does_not_come_is_refused_and_gives_its_room_back() {
        let within = Duration::from_millis(20);
        let layer = ArrivingLayer(Arrivals { within, ..ArrivingLayer::new(0).0 });
        let mut body = arriving(&layer, vec![message(10 << 20, 1_000), vec![7; 1_000]]);
        assert_eq!((next(&mut body).await, next(&mut body).await), (1_005, 1_000));
        let late = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let status = late.expect("a frame").expect_err("it is late");
        assert_eq!(from_status(&status).expect("an error of ours").code, ErrorCode::DeadlineExceeded);
        assert_eq!(layer.0.room.available_permits(), ArrivingLayer::new(0).0.room.available_permits());
    }

    #[tokio::test]
    async fn a_late_message_that_nobody_reads_any_further_loses_its_connection() {
        let layer = ArrivingLayer(Arrivals { within: Duration::from_millis(5), ..ArrivingLayer::new(0).0 });
        let mut body = arriving(&layer, vec![message(10 << 20, 1_000), vec![7; 1_000]]);
        assert_eq!((next(&mut body).await, next(&mut body).await), (1_005, 1_000));
        until("its connection is closed", async || format!("{:?}", body.closer).contains("true")).await;
    }
}
