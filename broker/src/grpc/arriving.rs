//! Messages on their way in: how much of them the broker keeps, and for how long.
//!
//! gRPC's library gathers a message until its last byte is there. So who sends nearly all of many messages would have that
//! memory for nothing. Here a message of which a part is there takes room for that part; what comes from one address leaves
//! some to the others. One that finds none waits for some, or until it may be the one that has room of its own: so nobody waits behind it who needs less. One that waits for long is refused, and so is one that stands
//! still or whose last byte is late. Who waits for room holds the window of its connection, which those that have room need
//! to go on: so it waits a second, no longer. Where there is none for anybody, connections end that take nothing of what they
//! fetch: these are not read from, and what is there of their next message would stay. What a message holds once it is whole,
//! the services count.

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

use holdfast_node::incoming::Source;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use crate::{
    config::limits::MAX_REQUEST_BYTES,
    here::shares::{Share, Shares, units},
};

/// How long a message waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// From a message's first byte to its last: the largest at a megabyte a second, and some more.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Longest time without another byte of a message.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Room for messages of which a part is there, of all requests of a port. Clones share it.
#[derive(Clone)]
pub(super) struct Arrivals {
    room: Shares,
    /// One place: for a message that has room of its own.
    alone: Arc<Semaphore>,
    /// Ends connections that take nothing of what they fetch.
    close_stalled: Arc<dyn Fn() + Send + Sync>,
    /// As [`PATIENCE`], [`ARRIVAL`] and [`STANDSTILL`] say it; tests wait less.
    patience: Duration,
    arrival: Duration,
    standstill: Duration,
}

impl Arrivals {
    /// Of `bytes`, of which one largest message has its part alone; the rest is for all others. `close_stalled` ends
    /// connections that take nothing of what they fetch.
    pub(super) fn new(bytes: usize, close_stalled: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            close_stalled: Arc::new(close_stalled),
            room: Shares::new(bytes.saturating_sub(MAX_REQUEST_BYTES)),
            alone: Arc::new(Semaphore::new(1)),
            patience: PATIENCE,
            arrival: ARRIVAL,
            standstill: STANDSTILL,
        }
    }

    /// The body of a request that comes from there, whose messages have room here or are refused.
    pub(super) fn body(&self, source: Option<Source>, inner: Body) -> Body {
        Body::new(self.arriving(source, inner))
    }

    fn arriving(&self, source: Option<Source>, inner: Body) -> ArrivingBody {
        ArrivingBody { inner, source, arrivals: self.clone(), messages: Messages::default(), partial: None }
    }

    /// More of a message is there, of which `before` was.
    fn more(&self, source: Option<Source>, before: Option<Partial>, bytes: usize) -> Partial {
        let now = Instant::now();
        let (held, end) = before.map_or((Held::Nothing, now + self.arrival), |before| (before.held, before.end));
        let mut partial = Partial { held, wanted: None, end, late: Late::Since(now), standstill: self.standstill };
        let held = match &partial.held {
            Held::Alone(_) => return partial,
            Held::Share(share) => share.units(),
            Held::Nothing => 0,
        };
        // What is larger than any message is refused by who reads its length.
        let wanted = units(bytes.min(MAX_REQUEST_BYTES)).saturating_sub(held);
        if wanted == 0 {
            return partial;
        }
        match (&mut partial.held, self.room.take(source, wanted)) {
            (Held::Share(share), Some(more)) => share.merge(more),
            (held, Some(more)) => *held = Held::Share(more),
            (_, None) => {
                if self.room.is_short_of(wanted) || self.alone.available_permits() == 0 {
                    (self.close_stalled)();
                }
                let (room, alone) = (self.room.clone(), Arc::clone(&self.alone).acquire_owned());
                let found = async move {
                    tokio::select! {
                        share = room.wait(source, wanted) => Held::Share(share),
                        alone = alone => Held::Alone(alone.expect("a place that nobody closes")),
                    }
                };
                partial.wanted = Some(Box::pin(timeout(self.patience, found)));
            }
        }
        partial
    }
}

/// A message of which a part is there.
struct Partial {
    held: Held,
    /// Until it has that, no more of it is read.
    wanted: Option<BoxFuture<'static, Result<Held, Elapsed>>>,
    /// When it has to be whole.
    end: Instant,
    late: Late,
    standstill: Duration,
}

/// Where the part of a message has its room.
enum Held {
    Nothing,
    /// In what is for all.
    Share(Share),
    /// As the one that has it alone.
    Alone(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit),
}

/// How long more of a message is waited for. The time in which the broker itself does not read is not the message's.
enum Late {
    /// Nobody has asked for more since then.
    Since(Instant),
    /// It is waited for, until then.
    At(Pin<Box<Sleep>>),
}

const LATE: &str = "a message stood still on its way or was late; send it again";

impl Partial {
    /// Ready once it has room for what is there of it: then more of it may be read. The error ends the stream.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ErrorDetail>> {
        if let Some(wanted) = &mut self.wanted {
            let Ok(found) = ready!(wanted.as_mut().poll(context)) else {
                let message = "this broker has no memory for more messages on their way in; retry";
                return Poll::Ready(Err(ErrorDetail::new(ErrorCode::Overloaded, message)));
            };
            self.wanted = None;
            match (&mut self.held, found) {
                (Held::Share(share), Held::Share(more)) => share.merge(more),
                (held, found) => *held = found,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing more of it is there: ready if it was waited for long enough.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<ErrorDetail> {
        if let Late::Since(then) = self.late {
            let now = Instant::now();
            self.end += now - then;
            self.late = Late::At(Box::pin(sleep_until(self.end.min(now + self.standstill))));
        }
        match &mut self.late {
            Late::At(late) => late.as_mut().poll(context).map(|()| ErrorDetail::new(ErrorCode::DeadlineExceeded, LATE)),
            Late::Since(_) => Poll::Pending,
        }
    }
}

struct ArrivingBody {
    inner: Body,
    source: Option<Source>,
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
            && let Err(refusal) = ready!(partial.poll_room(context))
        {
            this.partial = None;
            return Poll::Ready(Some(Err(refusal.into())));
        }
        // What is there is taken first, however late it is looked at.
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) else {
            let Some(partial) = &mut this.partial else { return Poll::Pending };
            let late = ready!(partial.poll_late(context));
            this.partial = None;
            return Poll::Ready(Some(Err(late.into())));
        };
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            let has_ended = this.messages.take(bytes);
            let before = this.partial.take().filter(|_| !has_ended);
            this.partial = this.messages.partial().map(|bytes| this.arrivals.more(this.source, before, bytes));
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

    fn arrivals_of_least() -> Arrivals {
        Arrivals::new(MAX_REQUEST_BYTES + LEAST_BYTES, || ())
    }

    fn arriving(arrivals: &Arrivals, pieces: Vec<Vec<u8>>) -> ArrivingBody {
        let frames =
            futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece)))));
        arrivals.arriving(None, Body::new(Pieces(frames.chain(futures::stream::pending()).boxed())))
    }

    /// Bytes of the next frame, or the error.
    async fn next(body: &mut ArrivingBody) -> Result<usize, ErrorCode> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.expect("a frame");
        let read = frame.map(|frame| frame.into_data().map_or(0, |bytes| bytes.len()));
        read.map_err(|status| from_status(&status).expect("an error of ours").code)
    }

    const LARGE: u32 = 10 << 20;
    const LEAST_BYTES: usize = 4 << 20;

    fn free(arrivals: &Arrivals) -> (bool, usize) {
        (!arrivals.room.is_short_of(arrivals.room.limit()), arrivals.alone.available_permits())
    }

    #[tokio::test]
    async fn no_more_is_read_of_messages_than_there_is_room_for() {
        let arrivals = Arrivals { patience: Duration::from_millis(20), ..arrivals_of_least() };
        let parts = [LEAST_BYTES + 1, LARGE as usize - LEAST_BYTES - 1_002, 1];
        let large = || {
            let rest = parts.map(|size| vec![7; size]);
            arriving(&arrivals, [vec![message(LARGE, 1_000)], rest.to_vec(), vec![message(1, 1)]].concat())
        };
        let (mut one, mut two, mut three) = (large(), large(), large());
        for body in [&mut one, &mut two, &mut three] {
            assert_eq!(next(body).await, Ok(1_005), "announcing much costs nothing");
        }
        assert_eq!((next(&mut one).await, next(&mut two).await), (Ok(parts[0]), Ok(parts[0])));
        assert_eq!(next(&mut one).await, Ok(parts[1]), "it has room of its own");
        assert_eq!(next(&mut two).await, Err(ErrorCode::Overloaded), "which is for one of them");
        drop(two);
        let mut small = arriving(&arrivals, vec![message(5, 5), message(5, 4), vec![7]]);
        assert_eq!(next(&mut three).await, Ok(parts[0]));
        assert_eq!(next(&mut three).now_or_never(), None, "it waits");
        for size in [10, 9, 1] {
            assert_eq!(next(&mut small).await, Ok(size), "and small ones do not wait behind it");
        }
        assert_eq!(next(&mut one).await, Ok(1));
        assert_eq!(next(&mut three).now_or_never(), Some(Ok(parts[1])), "the first is whole");
        assert_eq!(next(&mut one).now_or_never(), Some(Ok(6)));
        drop(three);
        assert_eq!(free(&arrivals), free(&arrivals_of_least()), "who leaves gives its room back");
    }

    #[tokio::test]
    async fn what_comes_from_one_address_leaves_room_to_the_others() {
        let arrivals = Arrivals { patience: Duration::from_millis(20), ..arrivals_of_least() };
        let source = |last| Some(Source::from(std::net::IpAddr::from([10, 0, 0, last])));
        let held: Vec<_> = std::iter::from_fn(|| arrivals.room.take(source(1), units(LEAST_BYTES / 32))).collect();
        assert!((20..24).contains(&held.len()), "three quarters: {}", held.len());
        let frames = [vec![message(LARGE, LEAST_BYTES / 8)], vec![vec![7]; 2]].concat();
        for (last, needs_its_own) in [(1, true), (2, false)] {
            let mut body = ArrivingBody { source: source(last), ..arriving(&arrivals, frames.clone()) };
            assert_eq!(next(&mut body).await, Ok(LEAST_BYTES / 8 + PREFIX_BYTES));
            assert_eq!(next(&mut body).await, Ok(1));
            assert_eq!(arrivals.alone.available_permits() == 0, needs_its_own, "{last}");
        }
    }

    #[tokio::test]
    async fn the_time_in_which_the_broker_does_not_read_is_not_the_messages() {
        let [soon, never] = [20, 60_000].map(Duration::from_millis);
        for (arrival, standstill) in [(soon, never), (never, soon)] {
            let arrivals = Arrivals { arrival, standstill, ..arrivals_of_least() };
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
            let arrivals = Arrivals { arrival, standstill, ..arrivals_of_least() };
            let mut body = arriving(&arrivals, vec![message(LARGE, 1_000), vec![7; 1_000]]);
            assert_eq!((next(&mut body).await, next(&mut body).await), (Ok(1_005), Ok(1_000)));
            assert_eq!(next(&mut body).now_or_never(), None, "it may still come");
            assert_eq!(next(&mut body).await, Err(ErrorCode::DeadlineExceeded));
            assert_eq!(free(&arrivals), free(&arrivals_of_least()));
        }
    }
}
