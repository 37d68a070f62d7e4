//! Calls that are passed on unread, each client's over connections of its own.
//!
//! What a client does not read waits in the windows of the connection that brings it here. On one connection for all, two
//! clients that stand still would stop the calls of everybody. So each client's connection has one of its own to each
//! target, with small windows, while it has calls there and a little longer.
//!
//! Bounds: `MOST` connections, half of them for one source address, each with at most `WINDOWS` unread. Past it the one
//! goes whose calls are over, then the one whose clients have taken nothing for a while ([`Call`]); else the new call is
//! refused. Failure: a broken connection fails its calls, and the next call connects again.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{
    body::Body,
    codegen::http::{Request, Response},
    transport::Channel,
};
use tower::Service;

use holdfast_net::{Connector, Windows};
use holdfast_node::incoming::Source;
use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

use super::{
    channels::{connector, no_address},
    relayed::{Call, RelayedBody},
};
use crate::config::Config;

/// Connections that may be open at once.
const MOST: usize = 256;
/// Of them, for the clients of one source address.
const MOST_OF_SOURCE: usize = MOST / 2;
/// What may be unread on each, bytes.
const WINDOWS: Windows = Windows { stream_bytes: 512 << 10, connection_bytes: 1 << 20 };
/// One that carries no call is closed after this or twice as long.
const IDLE: Duration = Duration::from_secs(30);
/// A client that has taken nothing for so long may lose its calls to one that has none.
const STALLED: Duration = Duration::from_secs(5);

/// Passes calls on, as the module says.
pub struct Relays(Arc<Inner>);

struct Inner {
    connector: Connector,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    open: HashMap<Ends, Line>,
    /// A task looks for those that are idle.
    is_swept: bool,
}

/// Whose calls, and the address that they go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ends {
    client: Option<SocketAddr>,
    target: String,
}

/// One connection, and what runs on it.
struct Line {
    channel: Channel,
    calls: Vec<Arc<Call>>,
    /// When the last call began or ended.
    used: Instant,
}

/// One call, counted until it is dropped.
struct Passing {
    relays: Arc<Inner>,
    ends: Ends,
    call: Arc<Call>,
}

impl Relays {
    /// Connects as these settings say, but for the windows. To nobody yet.
    pub(crate) fn new(config: &Config) -> Self {
        let windows = Windows {
            stream_bytes: WINDOWS.stream_bytes.min(config.http2_stream_window_bytes),
            connection_bytes: WINDOWS.connection_bytes.min(config.http2_connection_window_bytes),
        };
        let connector = Connector { windows: Some(windows), ..connector(config) };
        Self(Arc::new(Inner { connector, lines: Mutex::default() }))
    }

    /// Passes a call of `client` on to `address`. The answer has to begin within `limit`; how long it then lasts is the
    /// client's affair. After an error nobody knows how much of the call the target got to see, unless it says otherwise.
    pub(crate) async fn pass(
        &self,
        client: Option<SocketAddr>,
        address: &str,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Body>, ErrorDetail> {
        let (mut channel, passing) = self.enter(client, address)?;
        let called = tokio::time::timeout(limit, async {
            std::future::poll_fn(|waiting| channel.poll_ready(waiting)).await?;
            channel.call(request).await
        });
        let why = match called.await {
            Ok(Ok(response)) => return Ok(response.map(|body| Body::new(passing.answer(body)))),
            Ok(Err(error)) => format!("{address} cannot be reached from here: {error}"),
            Err(_) => format!("{address} did not begin to answer within {} ms; retry", limit.as_millis()),
        };
        Err(ErrorDetail::new(ErrorCode::BrokerNotAvailable, why).with_outcome(Outcome::Unknown))
    }

    fn enter(&self, client: Option<SocketAddr>, address: &str) -> Result<(Channel, Passing), ErrorDetail> {
        let ends = Ends { client, target: address.to_owned() };
        let mut lines = self.0.lines.lock();
        let (channel, call) = lines.enter(&ends, Instant::now(), || {
            Ok(self.0.connector.endpoint(address).map_err(|error| no_address(&error))?.connect_lazy())
        })?;
        if !std::mem::replace(&mut lines.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
        Ok((channel, Passing { relays: Arc::clone(&self.0), ends, call }))
    }
}

/// Closes what is idle, until nothing is open any more.
async fn sweep(relays: std::sync::Weak<Inner>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(relays) = relays.upgrade() else { return };
        let mut lines = relays.lines.lock();
        lines.drop_idle(Instant::now());
        if lines.open.is_empty() {
            lines.is_swept = false;
            return;
        }
    }
}

impl Lines {
    /// One more call between these ends.
    fn enter(
        &mut self,
        ends: &Ends,
        now: Instant,
        connect: impl FnOnce() -> Result<Channel, ErrorDetail>,
    ) -> Result<(Channel, Arc<Call>), ErrorDetail> {
        if !self.open.contains_key(ends) {
            self.make_room(ends, now)?;
            self.open.insert(ends.clone(), Line { channel: connect()?, calls: Vec::new(), used: now });
        }
        let call = Arc::<Call>::default();
        let line = self.open.get_mut(ends).expect("it is there, or was put there just now");
        line.calls.push(Arc::clone(&call));
        line.used = now;
        Ok((line.channel.clone(), call))
    }

    /// A place for one more line, if need be that of another.
    fn make_room(&mut self, ends: &Ends, now: Instant) -> Result<(), ErrorDetail> {
        let of_source = self.open.keys().filter(|other| other.source() == ends.source()).count();
        let is_source_full = of_source >= MOST_OF_SOURCE;
        if !is_source_full && self.open.len() < MOST {
            return Ok(());
        }
        let candidates = self.open.iter().filter(|(other, _)| !is_source_full || other.source() == ends.source());
        let useless = candidates.filter_map(|(other, line)| Some((line.useless_since(now)?, other)));
        let Some(ends) = useless.min_by_key(|(since, _)| *since).map(|(_, ends)| ends.clone()) else {
            let target = &ends.target;
            let message = format!(
                "as many calls are passed on from here as may be ({MOST} connections, {MOST_OF_SOURCE} from one source); \
                 connect to {target} itself, or retry later"
            );
            return Err(ErrorDetail::new(ErrorCode::Overloaded, message).with_outcome(Outcome::NotAppended));
        };
        if let Some(line) = self.open.remove(&ends) {
            line.calls.iter().for_each(|call| call.close());
        }
        Ok(())
    }

    fn drop_idle(&mut self, now: Instant) {
        self.open.retain(|_, line| !line.calls.is_empty() || now.saturating_duration_since(line.used) < IDLE);
    }

    /// A call between these ends is over.
    fn leave(&mut self, ends: &Ends, call: &Arc<Call>, now: Instant) {
        if let Some(line) = self.open.get_mut(ends) {
            line.calls.retain(|other| !Arc::ptr_eq(other, call));
            line.used = now;
        }
    }
}

impl Ends {
    fn source(&self) -> Option<Source> {
        self.client.map(|client| client.ip().into())
    }
}

impl Line {
    /// Whether it carries calls, and since when nobody takes anything of it; `None` if somebody does.
    fn useless_since(&self, now: Instant) -> Option<(bool, Instant)> {
        let mut since = self.used;
        for call in &self.calls {
            let stalled = call.stalled_since().filter(|stalled| now.saturating_duration_since(*stalled) >= STALLED)?;
            since = since.max(stalled);
        }
        Some((!self.calls.is_empty(), since))
    }
}

impl Passing {
    /// What the client is given.
    fn answer(self, body: Body) -> RelayedBody<Self> {
        RelayedBody::new(body, Arc::clone(&self.call), self)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.relays.lines.lock().leave(&self.ends, &self.call, Instant::now());
    }
}

#[cfg(test)]
#[path = "relays_tests.rs"]
mod tests;
