//! The port itself.

use std::io;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

/// Connections that the system keeps until they are accepted; past it connects are lost, and tried again after a second.
/// All clients of a node come back at once when it was away. Linux takes no more than `net.core.somaxconn`, 4096.
const QUEUE: u32 = 4096;

/// Listens at the first of these addresses that can be had.
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name stands for no address");
    for address in lookup_host(address).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let bound = socket.and_then(|socket| {
            // A port whose last connections are not forgotten yet.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(QUEUE)
        });
        match bound {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_connections_wait_than_a_server_takes_by_default() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // One more than tokio's own queue has, and then some.
        for _ in 0..1_100 {
            let connect = tokio::net::TcpStream::connect(address);
            let connected = tokio::time::timeout(std::time::Duration::from_millis(900), connect).await;
            waiting.push(connected.expect("it need not be tried again").unwrap());
        }
        assert!(listen(address).await.is_err(), "the port is taken");
    }
}
