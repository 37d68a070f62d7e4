//! HTTP/2 byte by byte, for what no client library sends.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpSocket, TcpStream},
};

use holdfast_eventually::PATIENCE;

/// Kinds of frames (RFC 9113, section 6).
pub(crate) mod kind {
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// No more headers follow.
pub(crate) const END_HEADERS: u8 = 4;

/// GOAWAY's word for a peer that does too much of something.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// One frame of a stream, or of stream 0.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a gRPC call, in HPACK without its table.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("shorter than what needs two bytes");
    let mut block = vec![0x83, 0x86, 0x04, length(path)];
    block.extend(path.as_bytes());
    for (name, value) in [(":authority", "flood"), ("content-type", "application/grpc"), ("te", "trailers")] {
        block.extend([0, length(name)]);
        block.extend(name.as_bytes());
        block.push(length(value));
        block.extend(value.as_bytes());
    }
    block
}

/// A header that means nothing, in HPACK without its table.
pub(crate) fn filler(bytes: u8) -> Vec<u8> {
    [vec![0, 1, b'x', bytes], vec![b'y'; bytes.into()]].concat()
}

/// A connection that has said that it speaks HTTP/2.
pub(crate) struct Wire {
    reads: ReadHalf<TcpStream>,
    writes: WriteHalf<TcpStream>,
}

/// How a connection ended: the reason of its GOAWAY, if there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(pub(crate) Option<u32>);

/// A TCP connection to `address` that says nothing, from another address of this host.
pub(crate) async fn silent(address: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.9:0".parse().unwrap())?;
    socket.connect(address.parse().unwrap()).await
}

impl Wire {
    /// Connects and sends the preface, with these settings as pairs of number and value.
    pub(crate) async fn connect(address: &str, settings: &[(u16, u32)]) -> Self {
        let (reads, writes) = tokio::io::split(silent(address).await.expect("the port takes connections"));
        let mut wire = Self { reads, writes };
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(kind::SETTINGS, 0, 0, &payload)].concat();
        wire.send(&hello).await.expect("nothing is wrong yet");
        wire
    }

    /// Fails once the other end has closed.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writes.write_all(bytes).await
    }

    /// Sends the same until the connection is closed, `most` times at most; nothing is read meanwhile. How often it was
    /// sent.
    pub(crate) async fn send_until_closed(&mut self, bytes: &[u8], most: usize) -> usize {
        for sent in 0..most {
            if self.send(bytes).await.is_err() {
                return sent;
            }
        }
        most
    }

    /// Reads until the other end closes.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut read = Vec::new();
        // Reset or closed: both are an end.
        let closed = tokio::time::timeout(PATIENCE, self.reads.read_to_end(&mut read)).await;
        assert!(closed.is_ok(), "the connection stands after {} bytes", read.len());
        let mut rest = read.as_slice();
        let mut goaway = None;
        while let Some((head, tail)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = tail.split_at_checked(length) else { break };
            if head[3] == kind::GOAWAY {
                goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            rest = next;
        }
        Ended(goaway)
    }
}
