//! The port itself: answers `GET /metrics`, and `GET /` with a line of help.
//!
//! 1. A connection brings one request, and ends with its answer or after [`PATIENCE`], whatever is still under way: nobody holds
//!    a place for longer. A body is not read.
//! 2. There are [`PLACES`] of them, a part of these for one source address; more wait in the system's queue.
//! 3. One page is made at a time, on a thread that may block. A page that nobody waits for any more ends before the next begins.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::{
    exposition::{Format, page},
    samples::{Samples, Source},
};
use crate::{
    incoming::{Place, Places, listen},
    settings::Address,
};

/// Connections at the same time.
const PLACES: usize = 256;
/// How long one lasts at most: as long as Prometheus waits by default.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest request, without a body.
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// How long nothing is accepted after that failed: for want of file handles, as a rule.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The bound port, not served yet.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    patience: Duration,
}

/// What makes pages, one at a time.
#[derive(Clone)]
struct Pages {
    source: Arc<dyn Source>,
    turn: Arc<Semaphore>,
}

impl Port {
    /// Binds the port, which is not served yet.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let listener = listen((address.host.trim_matches(['[', ']']), address.port)).await?;
        Ok(Self { listener, patience: PATIENCE })
    }

    /// The address that was bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves what the source has to tell. Ends when it is dropped, and every connection with it.
    pub async fn serve(self, source: Arc<dyn Source>) {
        let pages = Pages { source, turn: Arc::new(Semaphore::new(1)) };
        let places = Places::new(PLACES);
        let mut connections = JoinSet::new();
        loop {
            let (stream, place) = tokio::select! {
                next = next(&self.listener, &places) => next,
                Some(_ended) = connections.join_next() => continue,
            };
            let (pages, patience) = (pages.clone(), self.patience);
            connections.spawn(async move {
                let _place = place;
                // It is closed either way, and who asked for nothing is told nothing.
                let _ended = tokio::time::timeout(patience, pages.answer(stream)).await;
            });
        }
    }
}

/// The next connection that finds a place.
async fn next(listener: &TcpListener, places: &Arc<Places>) -> (TcpStream, Place) {
    loop {
        places.free().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(place) = places.take(peer.ip().into()) {
                    return (stream, place);
                }
                tracing::debug!(%peer, "a connection for metrics is closed: its source has as many as it may have");
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

impl Pages {
    async fn answer(&self, stream: TcpStream) {
        let service =
            service_fn(|request: Request<Incoming>| async move { Ok::<_, Infallible>(self.response(&request).await) });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .max_buf_size(MAX_REQUEST_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a request for metrics was not answered");
        }
    }

    async fn response(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !["/", "/metrics"].contains(&path) {
            return text(StatusCode::NOT_FOUND, "there is nothing here but /metrics\n");
        }
        if request.method() != Method::GET {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        if path == "/" {
            return text(StatusCode::OK, "metrics for Prometheus are at /metrics\n");
        }
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept);
        match self.page(format).await {
            Some(page) => {
                let mut response = text(StatusCode::OK, page);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
                response
            }
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the process ends\n"),
        }
    }

    /// A page of now; `None` if the runtime ends.
    async fn page(&self, format: Format) -> Option<String> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let source = Arc::clone(&self.source);
        let work = move || {
            let mut samples = Samples::default();
            source.read(&mut samples);
            let page = page(source.table(), samples, format);
            drop(turn);
            page
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
    };

    use super::*;
    use crate::metrics::Table;

    crate::metrics! {
        /// A table of one metric.
        static TABLE;

        /// The answer that is known.
        ANSWER: "holdfast_answer", Gauge;
    }

    struct Answer;

    impl Source for Answer {
        fn table(&self) -> Table {
            TABLE
        }

        fn read(&self, samples: &mut Samples) {
            samples.put(&ANSWER, 42_u64);
        }
    }

    async fn serving(patience: Duration) -> (SocketAddr, JoinHandle<()>) {
        let port = match Port::bind(&"[::1]:0".parse().unwrap()).await {
            Ok(port) => port,
            // A machine without IPv6.
            Err(_) => Port::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap(),
        };
        let address = port.address().unwrap();
        (address, tokio::spawn(Port { patience, ..port }.serve(Arc::new(Answer))))
    }

    /// What comes until the connection ends.
    async fn said(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // A connection that is closed with something unread may end with an error.
        let _ended =
            tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("it ends");
        String::from_utf8(said).unwrap()
    }

    #[tokio::test]
    async fn a_page_is_given_to_who_gets_it_and_nothing_else_is_answered() {
        let (address, server) = serving(PATIENCE).await;
        let ask = |line: &str, more: &str| {
            let request = format!("{line} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
            async move { said(address, &request).await }
        };
        let page = ask("GET /metrics", "").await;
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("text/plain; version=0.0.4"), "{page}");
        assert!(page.ends_with("\nholdfast_answer 42\n"), "{page}");
        let open = ask("GET /metrics?x=y", "Accept: application/openmetrics-text\r\n").await;
        assert!(open.contains("application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n"), "{open}");
        assert!(ask("GET /", "").await.contains("are at /metrics"));
        for (line, status) in [
            ("GET /other", 404),
            ("GET /metrics/", 404),
            ("HEAD /metrics", 405),
            ("POST /metrics", 405),
            ("DELETE /", 405),
            ("GET http://elsewhere/x", 404),
            ("nonsense", 400),
        ] {
            let said = ask(line, "Content-Length: 5\r\n").await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {said}");
        }
        let large = format!("X: {}\r\n", "x".repeat(2 * MAX_REQUEST_BYTES));
        let said = ask("GET /metrics", &large).await;
        assert!(!said.contains(" 200 "), "{said}");
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_is_closed() {
        let (address, server) = serving(Duration::from_millis(50)).await;
        for half in ["", "GET /metrics HTTP/1.1\r\n"] {
            assert_eq!(said(address, half).await, "");
        }
        server.abort();
    }

    #[tokio::test]
    async fn who_says_nothing_leaves_places_to_others() {
        let (address, server) = serving(Duration::from_mins(1)).await;
        let mut silent = Vec::new();
        // More than one source may have.
        for _ in 0..100 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // This source has no place left: it is closed at once, and does not wait.
        assert_eq!(said(address, "GET / HTTP/1.1\r\n\r\n").await, "");
        silent.clear();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !said(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.contains("200") {
            assert!(tokio::time::Instant::now() < deadline, "places are given back");
        }
        server.abort();
    }
}
