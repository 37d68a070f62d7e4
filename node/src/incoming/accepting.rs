//! The connections of a port, one after another, as a server takes them.

use std::{io, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::net::{TcpListener, TcpStream};

use super::{
    affordable::affordable,
    connection::{Connection, Lifetime, Patience},
    places::Places,
};

/// The connections of `listener`, at most `limit` at the same time and a few for a moment; more wait in the system's queue,
/// but for those of a source that has its share: they are closed. Each lasts as long as both sides want.
pub fn accept(listener: TcpListener, limit: usize) -> impl Stream<Item = io::Result<Connection>> {
    accept_for(listener, limit, None)
}

/// As [`accept`], for a bounded time if a lifetime is given.
pub fn accept_for(
    listener: TcpListener,
    limit: usize,
    lifetime: Option<Lifetime>,
) -> impl Stream<Item = io::Result<Connection>> {
    accept_with(listener, limit, lifetime, Patience::default())
}

fn accept_with(
    listener: TcpListener,
    limit: usize,
    lifetime: Option<Lifetime>,
    patience: Patience,
) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, Places::new(affordable(limit))), move |(listener, places)| async move {
        let accepted = next(&listener, &places, lifetime, patience).await;
        Some((accepted, (listener, places)))
    })
}

/// The next connection that finds a place.
async fn next(
    listener: &TcpListener,
    places: &Arc<Places>,
    lifetime: Option<Lifetime>,
    patience: Patience,
) -> io::Result<Connection> {
    loop {
        places.free().await;
        let (stream, peer): (TcpStream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file handles, as a rule: an immediate retry would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Err(error);
            }
        };
        let Some(place) = places.take(peer.ip().into()) else {
            tracing::debug!(%peer, "a connection is closed: its source has as many as it may have");
            continue;
        };
        stream.set_nodelay(true)?;
        return Ok(Connection::new(stream, place, lifetime, patience));
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream::FuturesUnordered};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpSocket,
    };
    use tonic::transport::server::Connected as _;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_mins(10);

    /// A connection from an address of this host.
    async fn connect(from: &str, listener: &TcpListener) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(listener.local_addr().unwrap()).await.unwrap()
    }

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    /// Why a connection ends on which nothing is said.
    async fn end(mut connection: Connection) -> io::ErrorKind {
        connection.read_u8().await.unwrap_err().kind()
    }

    #[tokio::test]
    async fn a_connection_is_closed_once_its_time_is_over() {
        let listener = listener().await;
        let _client = connect("127.0.0.1", &listener).await;
        let lifetime = Lifetime { age: SHORT, grace: SHORT };
        let mut connections = Box::pin(accept_for(listener, 1, Some(lifetime)));
        let connection = connections.next().await.unwrap().unwrap();
        assert!(connection.connect_info().streams_end.is_some());
        assert_eq!(end(connection).await, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_closed_and_one_that_speaks_is_not() {
        let listener = listener().await;
        let mut speaking = connect("127.0.0.1", &listener).await;
        speaking.write_all(PREFACE).await.unwrap();
        let mut slow = connect("127.0.0.1", &listener).await;
        slow.write_all(&PREFACE[..23]).await.unwrap();
        let _silent = connect("127.0.0.1", &listener).await;
        let patience = Patience { preface: SHORT, passing: LONG, taking: LONG };
        let mut connections = Box::pin(accept_with(listener, 3, None, patience));
        let mut heard = connections.next().await.unwrap().unwrap();
        heard.read_exact(&mut [0; 24]).await.unwrap();
        for _ in 0..2 {
            let mut connection = connections.next().await.unwrap().unwrap();
            let error = connection.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        // Its deadline was before theirs.
        speaking.write_all(b"x").await.unwrap();
        assert_eq!(heard.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn one_that_takes_nothing_is_closed_and_one_that_takes_something_is_not() {
        let listener = listener().await;
        let mut slow = connect("127.0.0.1", &listener).await;
        let _deaf = connect("127.0.0.1", &listener).await;
        let patience = Patience { preface: LONG, passing: LONG, taking: SHORT };
        let mut connections = Box::pin(accept_with(listener, 2, None, patience));
        let mut taken = connections.next().await.unwrap().unwrap();
        let mut stuck = connections.next().await.unwrap().unwrap();
        let more = vec![0; 64 << 20];
        let reads = async { slow.read_exact(&mut vec![0; 1 << 20]).await.unwrap() };
        let (written, _) = tokio::join!(taken.write(&more), reads);
        assert!(written.unwrap() > 0);
        assert_eq!(stuck.write_all(&more).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_full_port_takes_some_for_a_moment_and_closes_what_one_source_has_too_much() {
        let listener = listener().await;
        let mut first = connect("127.0.0.1", &listener).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(connect("127.0.0.2", &listener).await);
        }
        let other = connect("127.0.0.3", &listener).await;
        first.write_all(PREFACE).await.unwrap();
        let patience = Patience { preface: LONG, passing: SHORT, taking: LONG };
        let mut connections = Box::pin(accept_with(listener, 1, None, patience));
        let mut taken = Vec::new();
        for _ in 0..6 {
            taken.push(connections.next().await.unwrap().unwrap());
        }
        // The fifth of the second source was closed, and the next one came in all the same.
        assert_eq!(clients[4].read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let last = taken.pop().unwrap();
        assert_eq!(last.connect_info().tcp.remote_addr(), Some(other.local_addr().unwrap()));
        assert_eq!(end(last).await, io::ErrorKind::TimedOut, "its moment is over");
        // The one with a lasting place leaves: one of the four others keeps its own.
        drop(taken.remove(0));
        let mut ends: FuturesUnordered<_> =
            taken.into_iter().map(|mut connection| async move { connection.read_u8().await }).collect();
        for _ in 0..3 {
            assert_eq!(ends.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        for client in &mut clients[..4] {
            // Three of them are closed.
            let _ = client.write_all(b"x").await;
        }
        assert_eq!(ends.next().await.unwrap().unwrap(), b'x');
    }
}
