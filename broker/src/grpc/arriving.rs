//! Messages on their way in: how much of them the broker keeps, and for how long.
//!
//! gRPC's library gathers a message until its last byte is there, as many bytes as the message announces. So who
//! announces much and sends nearly all of it would have that memory for nothing, on every stream. Here a message of which
//! a part is there takes room for all that it announces. One that finds none soon is refused, and so is one whose last byte
//! is late. Who waits for room holds the window of its connection, which those that have room need to go on: so it waits a
//! second, no longer. What a message holds once it is whole, the services count.

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
    time::{Duration, Sleep, error::Elapsed, sleep, timeout},
};
use tonic::{Status, body::Body};

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::config::limits::MAX_REQUEST_BYTES;

/// How long a message waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// From when a message has room to its last byte: the largest at a megabyte a second, and some more.
const ARRIVAL: Duration = Duration::from_secs(30);

/// What one permit stands for, bytes.
const UNIT_BYTES: usize = 1024;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Room for messages of which a part is there, of all requests of a port. Clones share it.
#[derive(Clone)]
pub(super) struct Arrivals {
    room: Arc<Semaphore>,
    /// As [`PATIENCE`] and [`ARRIVAL`] say it; tests wait less.
    patience: Duration,
    arrival: Duration,
}

impl Arrivals {
    /// Of `bytes`, or of one largest message if that is more.
    pub(super) fn new(bytes: usize) -> Self {
        let room = Arc::new(Semaphore::new(bytes.max(MAX_REQUEST_BYTES + UNIT_BYTES) / UNIT_BYTES));
        Self { room, patience: PATIENCE, arrival: ARRIVAL }
    }

    /// The body of a request, whose messages have room here or are refused.
    pub(super) fn body(&self, inner: Body) -> Body {
        Body::new(self.arriving(inner))
    }

    fn arriving(&self, inner: Body) -> ArrivingBody {
        ArrivingBody { inner, arrivals: self.clone(), messages: Messages::default(), partial: None }
    }

    fn begin(&self, announced: usize) -> Partial {
        // What is larger than any message is refused by who reads its length.
        let units = u32::try_from(announced.min(MAX_REQUEST_BYTES) / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(units) {
            return self.held(room);
        }
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        let room = async { room.await.expect("room that nobody closes") };
        Partial::Waits(Box::pin(timeout(self.patience, room)))
    }

    fn held(&self, room: OwnedSemaphorePermit) -> Partial {
        Partial::Arrives { _room: room, late: Box::pin(sleep(self.arrival)) }
    }
}

/// A message of which a part is there.
enum Partial {
    /// No more of it is read.
    Waits(BoxFuture<'static, Result<OwnedSemaphorePermit, Elapsed>>),
    Arrives {
        _room: OwnedSemaphorePermit,
        late: Pin<Box<Sleep>>,
    },
}

struct ArrivingBody {
    inner: Body,
    arrivals: Arrivals,
    messages: Messages,
    partial: Option<Partial>,
}

impl ArrivingBody {
    /// Ready once more of it may be read. The error ends the stream.
    fn poll_partial(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ErrorDetail>> {
        if let Some(Partial::Waits(room)) = &mut self.partial {
            let Ok(room) = ready!(room.as_mut().poll(context)) else {
                let message = "this broker has no memory for more messages on their way in; retry";
                return Poll::Ready(Err(ErrorDetail::new(ErrorCode::Overloaded, message)));
            };
            self.partial = Some(self.arrivals.held(room));
        }
        if let Some(Partial::Arrives { late, .. }) = &mut self.partial
            && late.as_mut().poll(context).is_ready()
        {
            let message = format!("a message was not whole after {:?}; send it again", self.arrivals.arrival);
            return Poll::Ready(Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message)));
        }
        Poll::Ready(Ok(()))
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
        if let Err(refusal) = ready!(this.poll_partial(context)) {
            this.partial = None;
            return Poll::Ready(Some(Err(refusal.into())));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let is_other = this.messages.take(bytes);
            let announced = this.messages.announced();
            if is_other || announced.is_none() {
                this.partial = None;
            }
            if let Some(announced) = announced
                && this.partial.is_none()
            {
                this.partial = Some(this.arrivals.begin(announced));
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
    /// More has come. True if a prefix or a message ended in it: what is partial now announces something else.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_other = false;
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
                    is_other = true;
                }
            }
            if let Some((0, _)) = self.message {
                self.message = None;
            }
        }
        is_other
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
            let begun = all.chunks(piece).filter(|bytes| messages.take(bytes)).count();
            assert!(begun >= 1 && messages.announced().is_none(), "{piece}");
        }
        let mut messages = Messages::default();
        assert!(messages.take(&message(300, 299)));
        assert_eq!(messages.announced(), Some(300));
        assert!(!messages.take(&[7, 0]), "its end, and the first byte of another");
        assert_eq!(messages.announced(), Some(0));
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

    fn arriving(arrivals: &Arrivals, pieces: Vec<Vec<u8>>) -> ArrivingBody {
        let frames =
            futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece)))));
        arrivals.arriving(Body::new(Pieces(frames.chain(futures::stream::pending()).boxed())))
    }

    /// Bytes of the next frame, or the error.
    async fn next(body: &mut ArrivingBody) -> Result<usize, ErrorCode> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.expect("a frame");
        let read = frame.map(|frame| frame.into_data().map_or(0, |bytes| bytes.len()));
        read.map_err(|status| from_status(&status).expect("an error of ours").code)
    }

    const LARGE: u32 = 10 << 20;

    #[tokio::test]
    async fn no_more_is_read_of_messages_than_there_is_room_for() {
        let arrivals = Arrivals { patience: Duration::from_millis(20), ..Arrivals::new(0) };
        let rest = vec![7; LARGE as usize - 1_000];
        let large = || arriving(&arrivals, vec![message(LARGE, 1_000), rest.clone(), message(1, 1)]);
        let (mut one, mut two, mut three) = (large(), large(), large());
        assert_eq!(next(&mut one).await, Ok(1_005));
        assert_eq!(next(&mut two).await, Ok(1_005));
        assert_eq!(next(&mut two).await, Err(ErrorCode::Overloaded), "the room is for one of them");
        drop(two);
        let mut small = arriving(&arrivals, vec![message(5, 5), message(5, 4), vec![7]]);
        for size in [10, 9, 1] {
            assert_eq!(next(&mut small).await, Ok(size), "there is room for small ones");
        }
        assert_eq!(next(&mut three).await, Ok(1_005));
        assert_eq!(next(&mut three).now_or_never(), None, "it waits");
        assert_eq!(next(&mut one).await, Ok(rest.len()));
        assert_eq!(next(&mut three).now_or_never(), Some(Ok(rest.len())), "the first is whole");
        let mut four = large();
        assert_eq!(next(&mut four).await, Ok(1_005));
        drop(four);
        let all = Arrivals::new(0).room.available_permits();
        assert_eq!(arrivals.room.available_permits(), all, "who leaves gives its room back");
    }

    #[tokio::test]
    async fn a_prefix_that_is_cut_announces_its_message_once_it_is_there() {
        let arrivals = Arrivals::new(0);
        let all = arrivals.room.available_permits();
        let mut cut = arriving(&arrivals, vec![vec![0, 0], [&[160, 0, 0][..], &[7; 10]].concat()]);
        assert_eq!((next(&mut cut).await, next(&mut cut).await), (Ok(2), Ok(13)));
        assert_eq!(all - arrivals.room.available_permits(), LARGE as usize / UNIT_BYTES + 1);
    }

    #[tokio::test]
    async fn a_message_whose_end_does_not_come_is_refused_and_gives_its_room_back() {
        let arrivals = Arrivals { arrival: Duration::from_millis(20), ..Arrivals::new(0) };
        let mut body = arriving(&arrivals, vec![message(LARGE, 1_000), vec![7; 1_000]]);
        assert_eq!((next(&mut body).await, next(&mut body).await), (Ok(1_005), Ok(1_000)));
        assert_eq!(next(&mut body).now_or_never(), None, "it may still come");
        assert_eq!(next(&mut body).await, Err(ErrorCode::DeadlineExceeded));
        assert_eq!(arrivals.room.available_permits(), Arrivals::new(0).room.available_permits());
    }
}
