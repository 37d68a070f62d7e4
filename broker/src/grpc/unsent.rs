//! What answers hold until their bytes have left the socket.
//!
//! A message that is encoded and handed to the HTTP/2 connection waits there for the window of a client that may read
//! slowly, or not at all. So what bounds memory, the room of an answer, has to travel with the encoded bytes: a service
//! gives it to the [`Unsent`] of its response when it gives the message, and [`layer`] ties it to the bytes of the
//! body that follow. It is dropped when the connection has written or dropped the last of them. The bytes are given in
//! pieces, so that it shows whether the client takes them: small ones for who is slow, for each costs a system call.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::Frame;
use parking_lot::Mutex;
use tonic::{Status, body::Body, codegen::http::Response};
use tower::util::MapResponseLayer;

use crate::partition::answer_reader::{self, Reader};

/// Something that is given back when it is dropped.
type Held = Box<dyn Send + Sync>;

/// Bytes in the first pieces of a body: a reader that takes less in the time that a stalled one has counts as one.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes in a piece for who takes them at once. Who stops in the middle of one is as slow as that before it counts as stalled.
const MOST_PIECE_BYTES: usize = 256 * 1024;

/// Who takes a piece within this gets one twice as large next; who does not, the smallest.
const AT_ONCE: Duration = Duration::from_millis(50);

/// What the messages hold that were given to a response and are not encoded yet. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Unsent {
    held: Arc<Mutex<Vec<Held>>>,
    reader: Option<Arc<Reader>>,
}

impl Unsent {
    /// Of a response whose client counts among those that take up the memory for answers.
    pub(super) fn of(reader: Arc<Reader>) -> Self {
        Self { held: Arc::default(), reader: Some(reader) }
    }

    /// Whose answers these are, if they take up the memory for answers.
    pub(super) fn reader(&self) -> Option<Arc<Reader>> {
        self.reader.clone()
    }

    /// Held for the message that is given next.
    pub(super) fn hold(&self, held: impl Send + Sync + 'static) {
        self.held.lock().push(Box::new(held));
    }

    /// This response, whose body's bytes hold what is given here.
    pub(super) fn response<T>(&self, message: T) -> tonic::Response<T> {
        let mut response = tonic::Response::new(message);
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// Puts [`Unsent`] into effect for all services behind it.
pub(super) fn layer() -> MapResponseLayer<fn(Response<Body>) -> Response<Body>> {
    MapResponseLayer::new(|mut response: Response<Body>| match response.extensions_mut().remove::<Unsent>() {
        Some(unsent) => response.map(|inner| {
            Body::new(HoldingBody { inner, unsent, rest: Bytes::new(), piece_bytes: PIECE_BYTES, given: None })
        }),
        None => response,
    })
}

/// A body whose bytes hold what their messages held.
struct HoldingBody {
    inner: Body,
    unsent: Unsent,
    /// What was encoded and is not handed on.
    rest: Bytes,
    /// The size of the next piece.
    piece_bytes: usize,
    /// When a piece was given that another one follows.
    given: Option<Instant>,
}

impl http_body::Body for HoldingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            let held = std::mem::take(&mut *self.unsent.held.lock());
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if held.is_empty() => self.rest = bytes,
                    Ok(bytes) => {
                        let unsent = self.unsent.reader.as_ref().map(Reader::hand);
                        self.rest = Bytes::from_owner(Holding { bytes, _held: held, _unsent: unsent });
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        // It took what it had before.
        if let Some(reader) = &self.unsent.reader {
            reader.moves();
        }
        let now = Instant::now();
        if let Some(given) = self.given.take() {
            let twice = 2 * self.piece_bytes;
            self.piece_bytes = if now - given < AT_ONCE { twice.min(MOST_PIECE_BYTES) } else { PIECE_BYTES };
        }
        let size = self.rest.len().min(self.piece_bytes);
        let piece = self.rest.split_to(size);
        self.given = (!self.rest.is_empty()).then_some(now);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }
}

/// Encoded bytes, and what their messages hold.
struct Holding {
    bytes: Bytes,
    _held: Vec<Held>,
    _unsent: Option<answer_reader::Unsent>,
}

impl AsRef<[u8]> for Holding {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
