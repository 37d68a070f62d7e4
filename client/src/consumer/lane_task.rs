//! The fetch stream to one broker, and the task that keeps it open.
//!
//! Requests are pipelined: each asks for the partitions that want records now and are in no other request, so that one
//! without news does not hold up the others.
//!
//! Failure: a stream that ends is opened again after a pause with jitter, while partitions of that broker want records;
//! what was out is asked for again from the same offsets. The pauses grow until a stream lasts. A request that is refused
//! as a whole, or whose answer is too large for this client, would be so each time: the partition that is the cause is
//! found and fails instead, see `buffers.rs`.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, warn};

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{error::ErrorCode, ids::BrokerId, v1};

use super::{buffers::SHORT_WAIT, lane::FetchLane, shared::Shared};
use crate::{
    connection::{self, from_status},
    error::Error,
};

/// Longest time that a broker may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Most requests out on one stream; below what a broker works on at the same time. Partitions that find no place wait,
/// and go together in the next request.
const MAX_OUT: usize = 24;
/// Requests on one stream from which on the next ones come back soon, so that their partitions find together again.
const MANY_OUT: usize = 8;

/// The lane and its task, which ends with the consumer.
pub(super) fn start(shared: &Arc<Shared>, broker: BrokerId) -> Arc<FetchLane> {
    let lane = Arc::new(FetchLane::new(broker));
    let (task, shared) = (Arc::clone(&lane), Arc::clone(shared));
    tokio::spawn(async move {
        let ended = shared.ended.clone();
        ended.run_until_cancelled(run(&task, &shared)).await;
    });
    lane
}

async fn run(lane: &FetchLane, shared: &Shared) {
    let config = shared.client.config();
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    loop {
        // Not before something is wanted of this broker.
        let first = loop {
            if let Some(request) = shared.next_request(lane.broker, Instant::now()) {
                break request;
            }
            wait_for_work(lane, shared, true).await;
        };
        let mut out = HashSet::from([first.correlation_id]);
        let mut opened = None;
        let ended = stream(lane, shared, first, &mut out, &mut opened).await;
        if let Err(error @ Error::NotConnected { .. }) = &ended {
            shared.client.metadata().note_reached(lane.broker, Some(error.clone()));
        }
        backoff.reset_after(opened.map_or(Duration::ZERO, |at| at.elapsed()));
        // To ask the same again would be refused again.
        let refused = match &ended {
            Err(Error::Rejected(detail)) if !detail.retriable => Some(detail),
            Err(Error::Broken { detail, .. }) if detail.code == ErrorCode::MessageTooLarge => Some(detail),
            _ => None,
        };
        match refused {
            Some(detail) if opened.is_some() => shared.single_out(lane.broker, detail),
            Some(detail) => shared.fail_out(lane.broker, detail),
            None => {}
        }
        match ended {
            Ok(()) => debug!(broker = %lane.broker, "fetch stream was closed"),
            Err(error) if backoff.is_fresh() => warn!(broker = %lane.broker, %error, "fetch stream failed"),
            Err(error) => debug!(broker = %lane.broker, %error, "fetch stream failed again"),
        }
        shared.forget(lane.broker);
        shared.client.metadata().request_refresh();
        tokio::time::sleep(jittered(backoff.next_pause())).await;
    }
}

/// Waits until a partition of this broker may want records; with room for a request, at the latest when one may be asked
/// for again.
async fn wait_for_work(lane: &FetchLane, shared: &Shared, has_room: bool) {
    match shared.retry_at(lane.broker).filter(|_| has_room) {
        None => lane.woken().await,
        Some(at) => tokio::time::timeout_at(at.into(), lane.woken()).await.unwrap_or(()),
    }
}

async fn stream(
    lane: &FetchLane,
    shared: &Shared,
    first: v1::FetchRequest,
    out: &mut HashSet<u64>,
    opened: &mut Option<Instant>,
) -> Result<(), Error> {
    let view = shared.client.metadata().view();
    let address = view.address(lane.broker).ok_or_else(|| Error::Unreachable {
        tried: 0,
        last: format!("the address of broker {} is not known", lane.broker),
    })?;
    let connections = shared.client.connections();
    let kind = connection::Lane::Fetch;
    let mut client = connections.consumer(address, kind)?;
    let (requests, outbound) = mpsc::channel(MAX_OUT);
    let ended = |_| Error::Closed;
    requests.try_send(first).map_err(ended)?;
    let mut answers = match tokio::time::timeout(OPEN_TIMEOUT, client.fetch(ReceiverStream::new(outbound))).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(from_status(address, &status)),
        Err(_) => {
            connections.discard(address, kind);
            let what = format!("opening a fetch stream to {address}");
            return Err(Error::DeadlineExceeded { what, after: OPEN_TIMEOUT, in_doubt: false });
        }
    };
    *opened = Some(Instant::now());
    lane.end.begin(address);
    shared.client.metadata().note_reached(lane.broker, None);
    debug!(broker = %lane.broker, address, "fetch stream is open");
    loop {
        while out.len() < MAX_OUT
            && let Some(mut request) = shared.next_request(lane.broker, Instant::now())
        {
            if out.len() >= MANY_OUT {
                request.max_wait_ms = request.max_wait_ms.min(SHORT_WAIT.as_millis() as u32);
            }
            out.insert(request.correlation_id);
            if requests.try_send(request).is_err() {
                return Ok(()); // the connection has let go of the stream
            }
        }
        tokio::select! {
            answer = answers.message() => match answer {
                Ok(Some(answer)) => {
                    out.remove(&answer.correlation_id);
                    if shared.take_answer(lane, answer, Instant::now()) {
                        shared.client.metadata().request_refresh();
                    }
                }
                Ok(None) => return Ok(()),
                Err(status) => return Err(from_status(address, &status)),
            },
            () = wait_for_work(lane, shared, out.len() < MAX_OUT) => {}
            why = lane.end.wait() => {
                connections.discard(address, kind);
                return Err(Error::NotConnected { address: address.to_owned(), reason: format!("given up: {why}") });
            }
        }
    }
}
