//! One accepted connection: it holds its place, and ends when one of its times is over.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};
use tonic::{
    Extensions,
    transport::server::{Connected, TcpConnectInfo},
};

use holdfast_net::jitter;

use super::places::{Kind, Place, Source};
use crate::closer::Closer;

/// Bytes with which a client of HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// A connection that holds its place until it is closed.
pub struct Connection {
    stream: TcpStream,
    streams_end: Option<Instant>,
    closer: Closer,
    /// When it is closed, whatever runs on it.
    close: Option<Pin<Box<Sleep>>>,
    /// While it has not said that it speaks HTTP/2: how many bytes are missing, and until when it may wait.
    unheard: Option<(usize, Pin<Box<Sleep>>)>,
    /// While its place is one for a moment: until when.
    passing: Option<Pin<Box<Sleep>>>,
    /// While its other end takes nothing of what is written: until when that is borne, and for how long at all.
    stalled: Option<Pin<Box<Sleep>>>,
    taking: Duration,
    place: Place,
}

/// How long a connection may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From here on it takes no new call.
    pub age: Duration,
    /// How long what runs may still take, from the end of its streams on.
    pub grace: Duration,
}

/// How long is waited for a connection to be of use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the first bytes of HTTP/2.
    pub(super) preface: Duration,
    /// For a lasting place to become free, on a connection that has one for a moment.
    pub(super) passing: Duration,
    /// For the other end to take something of what is written. A ping would not find out: nothing can be said to one that
    /// does not read, not even that the connection ends.
    pub(super) taking: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Longer than a probe takes, and than a handshake on the slowest network.
        Self { preface: Duration::from_secs(5), passing: Duration::from_secs(5), taking: Duration::from_secs(30) }
    }
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

    /// Where the call comes from, as far as it is known.
    pub fn source<T>(request: &tonic::Request<T>) -> Option<Source> {
        Self::source_of(request.extensions())
    }

    /// The same, of a request that tonic has not seen.
    pub fn source_of(extensions: &Extensions) -> Option<Source> {
        extensions.get::<Self>().and_then(|info| info.tcp.remote_addr()).map(|address| address.ip().into())
    }

    /// What ends the call's connection.
    pub fn closer<T>(request: &tonic::Request<T>) -> Closer {
        request.extensions().get::<Self>().map(|info| info.closer.clone()).unwrap_or_default()
    }
}

/// Returns at `end`, or never.
pub async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: Place, lifetime: Option<Lifetime>, patience: Patience) -> Self {
        let now = Instant::now();
        let at = |at: Instant| Box::pin(sleep_until(at));
        let streams_end = lifetime.map(|lifetime| now + lifetime.age + apart(lifetime.age));
        Self {
            close: lifetime.zip(streams_end).map(|(lifetime, end)| at(end + lifetime.grace)),
            unheard: Some((PREFACE_BYTES, at(now + patience.preface))),
            passing: (place.kind() == Kind::Passing).then(|| at(now + patience.passing)),
            stream,
            streams_end,
            closer: Closer::default(),
            stalled: None,
            taking: patience.taking,
            place,
        }
    }

    /// Fails once one of its times is over. Asked when it is written too: with a client that takes nothing, HTTP/2 does not
    /// read any more.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.over(context) {
            Some(why) => Err(io::Error::new(io::ErrorKind::TimedOut, why)),
            None => Ok(()),
        }
    }

    /// Why the connection has to end, if one of its times is over.
    fn over(&mut self, context: &mut Context<'_>) -> Option<&'static str> {
        let over = |at: &mut Pin<Box<Sleep>>, context: &mut Context<'_>| at.as_mut().poll(context).is_ready();
        if self.closer.is_closed(context) {
            return Some("the connection was closed from here");
        }
        if self.unheard.as_mut().is_some_and(|(_, until)| over(until, context)) {
            return Some("nothing was said on the connection");
        }
        if self.passing.as_mut().is_some_and(|until| over(until, context)) {
            if !self.place.last() {
                return Some("the port is full");
            }
            self.passing = None;
        }
        if self.stalled.as_mut().is_some_and(|until| over(until, context)) {
            return Some("nothing was taken of what is written");
        }
        self.close.as_mut().is_some_and(|until| over(until, context)).then_some("the connection's time is over")
    }

    /// Notes whether the other end took something; while it does not, this is asked again when its time is over.
    fn written<T>(&mut self, polled: Poll<T>, context: &mut Context<'_>) -> Poll<T> {
        if polled.is_ready() {
            self.stalled = None;
        } else if self.stalled.is_none() {
            let mut until = Box::pin(sleep_until(Instant::now() + self.taking));
            // Not over yet: asked so that it wakes.
            let _ = until.as_mut().poll(context);
            self.stalled = Some(until);
        }
        polled
    }

    /// Counts the first bytes.
    fn heard(&mut self, bytes: usize) {
        if let Some((missing, _)) = &mut self.unheard {
            *missing = missing.saturating_sub(bytes);
            if *missing == 0 {
                self.unheard = None;
            }
        }
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
        self.check(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.heard(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_end_after_the_goaway_and_not_all_at_once() {
        let age = Duration::from_secs(100);
        let ends: std::collections::BTreeSet<_> = (0..50).map(|_| apart(age)).collect();
        assert!(ends.len() > 10, "{ends:?}");
        assert!(ends.iter().all(|end| *end >= Duration::from_millis(20) && *end <= Duration::from_millis(10_020)));
    }
}
