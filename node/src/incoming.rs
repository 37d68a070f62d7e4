//! Accepts connections: a bounded number, without Nagle's delay, and each for a bounded time where that is asked for.
//!
//! ```text
//!  accepted ───────── age ──────┬── up to a tenth of it ──┬──────── grace ────────┬
//!                    GOAWAY: no │   streams end by        │  what still runs may   │ closed, whatever
//!                      new call │   themselves            │  end                   │ runs
//! ```
//!
//! A client whose connection has reached its age makes a new one, and so finds the servers that came back after a roll.
//! The GOAWAY is tonic's (`Server::max_connection_age`); a stream asks [`ConnectionInfo::streams_end`] when it has to end,
//! which is after it, so that the stream which follows finds a new connection. The time between differs for each
//! connection: those that were made together do not come back together.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

use holdfast_net::jitter;

use crate::closer::Closer;

/// A connection that holds its place until it is closed.
pub struct Connection {
    stream: TcpStream,
    streams_end: Option<Instant>,
    closer: Closer,
    close: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// How long a connection may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From here on it takes no new call.
    pub age: Duration,
    /// How long what runs may still take, from the end of its streams on.
    pub grace: Duration,
}

/// What a call can learn of its connection, from the request's extensions.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The ends of the connection.
    pub tcp: TcpConnectInfo,
    /// When streams on it have to end by themselves; `None`: never.
    pub streams_end: Option<Instant>,
    /// Ends it at once.
    pub closer: Closer,
}

impl ConnectionInfo {
    /// When streams of the call's connection have to end.
    pub fn streams_end<T>(request: &tonic::Request<T>) -> Option<Instant> {
        request.extensions().get::<Self>().and_then(|info| info.streams_end)
    }

    /// What ends the call's connection.
    pub fn closer<T>(request: &tonic::Request<T>) -> Closer {
        request.extensions().get::<Self>().map(|info| info.closer.clone()).unwrap_or_default()
    }
}

/// Returns at `end`, or never.
pub async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The connections of `listener`, at most `limit` at the same time; more wait in the system's queue. Each lasts as long
/// as both sides want.
pub fn accept(listener: TcpListener, limit: usize) -> impl Stream<Item = io::Result<Connection>> {
    accept_for(listener, limit, None)
}

/// As [`accept`], for a bounded time if a lifetime is given.
pub fn accept_for(
    listener: TcpListener,
    limit: usize,
    lifetime: Option<Lifetime>,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limit));
    stream::unfold((listener, places), move |(listener, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let accepted = match listener.accept().await {
            Ok((stream, _)) => stream.set_nodelay(true).map(|()| Connection::new(stream, place, lifetime)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file handles, as a rule: an immediate retry would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(error)
            }
        };
        Some((accepted, (listener, places)))
    })
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, lifetime: Option<Lifetime>) -> Self {
        let now = Instant::now();
        let streams_end = lifetime.map(|lifetime| now + lifetime.age + apart(lifetime.age));
        let close = lifetime.zip(streams_end).map(|(lifetime, end)| end + lifetime.grace);
        let close = close.map(|at| Box::pin(tokio::time::sleep_until(at)));
        Self { stream, streams_end, closer: Closer::default(), close, _place: place }
    }

    /// True once its time is over, whatever runs on it.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.closer.is_closed(context)
            || self.close.as_mut().is_some_and(|close| close.as_mut().poll(context).is_ready())
    }
}

/// Up to a tenth of `age`, but enough for the GOAWAY to be first.
fn apart(age: Duration) -> Duration {
    Duration::from_millis(20) + jitter::between(Duration::ZERO, age / 10)
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        ConnectionInfo { tcp: self.stream.connect_info(), streams_end: self.streams_end, closer: self.closer.clone() }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the connection's time is over")));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn streams_end_after_the_goaway_and_not_all_at_once() {
        let age = Duration::from_secs(100);
        let ends: std::collections::BTreeSet<_> = (0..50).map(|_| apart(age)).collect();
        assert!(ends.len() > 10, "{ends:?}");
        assert!(ends.iter().all(|end| *end >= Duration::from_millis(20) && *end <= Duration::from_millis(10_020)));
    }

    #[tokio::test]
    async fn a_connection_is_closed_once_its_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let lifetime = Lifetime { age: Duration::from_millis(10), grace: Duration::from_millis(10) };
        let mut connections = Box::pin(accept_for(listener, 1, Some(lifetime)));
        let mut connection = connections.next().await.unwrap().unwrap();
        assert!(connection.connect_info().streams_end.is_some());
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
