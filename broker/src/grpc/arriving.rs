//! Messages on their way in: how much of them the broker keeps, and for how long.
//!
//! gRPC's library gathers a message until its last byte is there. So who sends nearly all of many messages would have that
//! memory for nothing. Here a message of which a part is there takes room for that part. One that finds none soon is
//! refused, and so is one that stands still or whose last byte is late. Who waits for room holds the window of its
//! connection, which those that have room need to go on: so it waits a second, no longer. What a message holds once it is
//! whole, the services count.

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
    time::{Duration, Instant, Sleep, error::Elapsed, sleep_until, timeout},
};
use tonic::{Status, body::Body};

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::config::limits::MAX_REQUEST_BYTES;

/// How long a message waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// From a message's first byte to its last: the largest at a megabyte a second, and some more.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Longest time without another byte of a message.
const STANDSTILL: Duration = Duration::from_secs(5);

/// What one permit stands for, bytes.
const UNIT_BYTES: usize = 1024;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Room for messages of which a part is there, of all requests of a port. Clones share it.
#[derive(Clone)]
pub(super) struct Arrivals {
    room: Arc<Semaphore>,
    /// As [`PATIENCE`], [`ARRIVAL`] and [`STANDSTILL`] say it; tests wait less.
    patience: Duration,
    arrival: Duration,
    standstill: Duration,
}

impl Arrivals {
    /// Of `bytes`, or of one largest message if that is more.
    pub(super) fn new(bytes: usize) -> Self {
        let room = Arc::new(Semaphore::new(bytes.max(MAX_REQUEST_BYTES + UNIT_BYTES) / UNIT_BYTES));
        Self { room, patience: PATIENCE, arrival: ARRIVAL, standstill: STANDSTILL }
    }

    /// The body of a request, whose messages have room here or are refused.
    pub(super) fn body(&self, inner: Body) -> Body {
        Body::new(self.arriving(inner))
    }

    fn arriving(&self, inner: Body) -> ArrivingBody {
        ArrivingBody { inner, arrivals: self.clone(), messages: Messages::default(), partial: None }
    }

    /// More of a message is there, of which `before` was.
    fn more(&self, before: Option<Partial>, bytes: usize) -> Partial {
        let now = Instant::now();
        let (held, end) = before.map_or((None, now + self.arrival), |before| (before.held, before.end));
        // What is larger than any message is refused by who reads its length.
        let units = u32::try_from(bytes.min(MAX_REQUEST_BYTES) / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        let wanted = units.saturating_sub(held.as_ref().map_or(0, |held| held.num_permits() as u32));
        let mut partial = Partial { held, wanted: None, end, late: Late::Since(now), standstill: self.standstill };
        if let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(wanted) {
            partial.take(more);
        } else {
            let more = Arc::clone(&self.room).acquire_many_owned(wanted);
            let more = async { more.await.expect("room that nobody closes") };
            partial.wanted = Some(Box::pin(timeout(self.patience, more)));
        }
        partial
    }
}

/// A message of which a part is there.
struct Partial {
    held: Option<OwnedSemaphorePermit>,
    /// Until it has that, no more of it is read.
    wanted: Option<BoxFuture<'static, Result<OwnedSemaphorePermit, Elapsed>>>,
    /// When it has to be whole.
    end: Instant,
    late: Late,
    standstill: Duration,
}

/// How long more of a message is waited for. The time in which the broker itself does not read is not the message's.
enum Late {
    /// Nobody has asked for more since then.
    Since(Instant),
    /// It is waited for, until then.
    At(Pin<Box<Sleep>>),
}

impl Partial {
    fn take(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
    }

    /// Ready once more of it may be read. The error ends the stream.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ErrorDetail>> {
        if let Some(wanted) = &mut self.wanted {
            let Ok(more) = ready!(wanted.as_mut().poll(context)) else {
                let message = "this broker has no memory for more messages on their way in; retry";
                return Poll::Ready(Err(ErrorDetail::new(ErrorCode::Overloaded, message)));
            };
            self.wanted = None;
            self.take(more);
        }
        if let Late::Since(then) = self.late {
            let now = Instant::now();
            self.end += now - then;
            self.late = Late::At(Box::pin(sleep_until(self.end.min(now + self.standstill))));
        }
        if let Late::At(late) = &mut self.late
            && late.as_mut().poll(context).is_ready()
        {
            let message = "a message stood still on its way or was late; send it again";
            return Poll::Ready(Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message)));
        }
        Poll::Ready(Ok(()))
    }
}

struct ArrivingBody {
    inner: Body,
    arrivals: Arrivals,
    messages: Messages,
    partial: Option<Partial>,
}

impl http_body::Body for ArrivingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(partial) = &mut this.partial
            && let Err(refusal) = ready!(partial.poll(context))
        {
            this.partial = None;
            return Poll::Ready(Some(Err(refusal.into())));
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let has_ended = this.messages.take(bytes);
            let before = this.partial.take().filter(|_| !has_ended);
            this.partial = this.messages.partial().map(|bytes| this.arrivals.more(before, bytes));
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

    /// Bytes that are there of a message that is not whole; `None` between two messages.
    fn partial(&self) -> Option<usize> {
        match self.message {
            Some((left, size)) => Some(size - left),
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
            let ends = all.chunks(piece).filter(|bytes| messages.take(bytes)).count();
            assert!(ends >= 1 && messages.partial().is_none(), "{piece}");
        }
        let mut messages = Messages::default();
        assert!(!messages.take(&message(300, 299)));
        assert_eq!(messages.partial(), Some(299));
        assert!(messages.take(&[7, 0]), "its end, and the first byte of another");
        assert_eq!(messages.partial(), Some(0));
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

    fn free(arrivals: &Arrivals) -> usize {
        arrivals.room.available_permits()
    }

    #[tokio::test]
    async fn no_more_is_read_of_messages_than_there_is_room_for() {
        let arrivals = Arrivals { patience: Duration::from_millis(20), ..Arrivals::new(0) };
        let (most, last) = (vec![7; LARGE as usize - 1_001], vec![7]);
        let large = || arriving(&arrivals, vec![message(LARGE, 1_000), most.clone(), last.clone(), message(1, 1)]);
        let (mut one, mut two, mut three) = (large(), large(), large());
        for body in [&mut one, &mut two, &mut three] {
            assert_eq!(next(body).await, Ok(1_005), "announcing much costs nothing");
        }
        assert_eq!((next(&mut one).await, next(&mut two).await), (Ok(most.len()), Ok(most.len())));
        assert_eq!(next(&mut two).await, Err(ErrorCode::Overloaded), "the room is for one of them");
        drop(two);
        let mut small = arriving(&arrivals, vec![message(5, 5), message(5, 4), vec![7]]);
        for size in [10, 9, 1] {
            assert_eq!(next(&mut small).await, Ok(size), "there is room for small ones");
        }
        assert_eq!(next(&mut three).await, Ok(most.len()));
        assert_eq!(next(&mut three).now_or_never(), None, "it waits");
        assert_eq!(next(&mut one).await, Ok(1));
        assert_eq!(next(&mut three).now_or_never(), Some(Ok(1)), "the first is whole");
        assert_eq!(free(&arrivals), free(&Arrivals::new(0)), "and nothing is held of what is whole");
        let mut four = large();
        assert_eq!((next(&mut four).await, next(&mut four).await), (Ok(1_005), Ok(most.len())));
        drop(four);
        assert_eq!(free(&arrivals), free(&Arrivals::new(0)), "who leaves gives its room back");
    }

    #[tokio::test]
    async fn the_time_in_which_the_broker_does_not_read_is_not_the_messages() {
        let [soon, never] = [20, 60_000].map(Duration::from_millis);
        for (arrival, standstill) in [(soon, never), (never, soon)] {
            let arrivals = Arrivals { arrival, standstill, ..Arrivals::new(0) };
            let mut body = arriving(&arrivals, vec![message(LARGE, 1_000), vec![7; 1_000]]);
            assert_eq!(next(&mut body).await, Ok(1_005));
            tokio::time::sleep(2 * soon).await;
            assert_eq!(next(&mut body).await, Ok(1_000), "it was there");
        }
    }

    #[tokio::test]
    async fn a_message_that_stands_still_or_is_late_is_refused_and_gives_its_room_back() {
        let [soon, never] = [20, 60_000].map(Duration::from_millis);
        for (arrival, standstill) in [(soon, never), (never, soon)] {
            let arrivals = Arrivals { arrival, standstill, ..Arrivals::new(0) };
            let mut body = arriving(&arrivals, vec![message(LARGE, 1_000), vec![7; 1_000]]);
            assert_eq!((next(&mut body).await, next(&mut body).await), (Ok(1_005), Ok(1_000)));
            assert_eq!(next(&mut body).now_or_never(), None, "it may still come");
            assert_eq!(next(&mut body).await, Err(ErrorCode::DeadlineExceeded));
            assert_eq!(free(&arrivals), free(&Arrivals::new(0)));
        }
    }
}
