//! A broker's session as a stream: heartbeats up, metadata down.
//!
//! 1. Every heartbeat is answered by exactly one message, in order, which carries a snapshot or nothing. Changes come
//!    in messages of their own, with deltas, or with the snapshot that they follow. So a broker knows which heartbeat its
//!    lease counts from.
//! 2. A broker says what it has applied, with the hash that came with it. If this controller has the same hash there and
//!    still holds the changes since, it sends these before the first answer. Else that carries a snapshot. If the deltas no
//!    longer connect, because the broker reads too slowly, they stop, and the answer to the next heartbeat carries one.
//! 3. The stream ends with NOT_CONTROLLER once this controller is not active any more, is in another term, or knows the
//!    broker by another stream; and with STALE_BROKER_EPOCH once the broker has registered again. However it ends, the
//!    sessions' actor hears of it.
//! 4. Memory is bounded: a few messages wait for a slow broker, the changes wait in the view's one bounded stream.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, mpsc},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use holdfast_metadata::{Command, HistoryHash, registered, version::TRUST};
use holdfast_proto::{
    convert::{optional_id, required},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, MetadataIndex},
    v1::{BrokerSessionRequest, BrokerSessionResponse, ClockVerdict},
};

use super::snapshots::{Beginning, Snapshots};
use crate::{
    actors::SessionsHandle,
    admission::Proposer,
    clocks::Clocks,
    node::Node,
    sessions::ConnectionId,
    view::{Change, Delta},
};

/// Messages that may wait for the broker.
const QUEUE: usize = 8;
/// Deltas in one message.
const DELTAS: usize = 256;
/// Time for the first heartbeat to come.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(5);

/// The first message of a session.
pub(super) async fn first(heartbeats: &mut Streaming<BrokerSessionRequest>) -> Result<BrokerSessionRequest, Status> {
    match tokio::time::timeout(FIRST_HEARTBEAT, heartbeats.message()).await {
        Ok(message) => Ok(required(message?, "the first heartbeat")?),
        Err(_) => Err(ErrorDetail::new(ErrorCode::InvalidRequest, "no heartbeat came on a new session").into()),
    }
}

/// Opens the session that `first` asks for.
pub(super) async fn open(
    node: Node,
    sessions: SessionsHandle,
    snapshots: Snapshots,
    first: BrokerSessionRequest,
    heartbeats: Streaming<BrokerSessionRequest>,
) -> Result<ReceiverStream<Result<BrokerSessionResponse, Status>>, ErrorDetail> {
    let broker_id = BrokerId(first.broker_id);
    let broker_epoch = BrokerEpoch(first.broker_epoch);
    check_epoch(&node, broker_id, broker_epoch)?;
    let (connection, term) = sessions.connect(broker_id, broker_epoch).await?;
    let (messages, outgoing) = mpsc::channel(QUEUE);
    let applied = MetadataIndex(first.applied_index);
    let hash = HistoryHash::from_bytes(&first.history_hash);
    let resumed = hash.and_then(|hash| node.view().resume(applied, Some(hash)));
    let is_resumed = resumed.is_some();
    tracing::info!(%broker_id, %broker_epoch, connection = connection.0, is_resumed, %applied, "a broker's session begins");
    let (since, changes) = resumed.unwrap_or_else(|| (Vec::new(), node.view().subscribe().1));
    let guard = Connection { sessions, broker_id, id: connection, refused: false };
    let sent = is_resumed.then_some(applied);
    let session = Session { node, snapshots, guard, broker_epoch, term, messages, since, changes, sent, renewal: None };
    tokio::spawn(session.run(first, heartbeats));
    Ok(ReceiverStream::new(outgoing))
}

/// Refuses a broker whose registration is not the current one.
pub(super) fn check_epoch(node: &Node, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Result<(), ErrorDetail> {
    registered(&node.view().image(), broker_id, broker_epoch)?;
    Ok(())
}

/// Tells the sessions' actor of the end, however it comes.
struct Connection {
    sessions: SessionsHandle,
    broker_id: BrokerId,
    id: ConnectionId,
    /// True if it ends because this controller is not active.
    refused: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        tracing::info!(broker_id = %self.broker_id, connection = self.id.0, "a broker's session ends");
        self.sessions.disconnect(self.broker_id, self.id, self.refused);
    }
}

struct Session {
    node: Node,
    snapshots: Snapshots,
    guard: Connection,
    broker_epoch: BrokerEpoch,
    /// Of the leadership that it was opened in.
    term: u64,
    messages: mpsc::Sender<Result<BrokerSessionResponse, Status>>,
    /// Changes before those of the stream that are not sent yet.
    since: Vec<Arc<Delta>>,
    changes: broadcast::Receiver<Change>,
    /// The last index that was sent; `None` while a snapshot is due.
    sent: Option<MetadataIndex>,
    /// The proposal of another token, while it is under way.
    renewal: Option<JoinHandle<()>>,
}

impl Session {
    async fn run(mut self, first: BrokerSessionRequest, heartbeats: Streaming<BrokerSessionRequest>) {
        if let Err(detail) = self.serve(first, heartbeats).await {
            self.guard.refused = detail.code == ErrorCode::NotController;
            // The broker may be gone already, or too slow to hear it.
            let _ = self.messages.try_send(Err(detail.into()));
        }
    }

    async fn serve(
        &mut self,
        first: BrokerSessionRequest,
        mut heartbeats: Streaming<BrokerSessionRequest>,
    ) -> Result<(), ErrorDetail> {
        self.heartbeat(&first).await?;
        let mut role = self.node.role();
        loop {
            tokio::select! {
                heartbeat = heartbeats.message() => match heartbeat {
                    Ok(Some(heartbeat)) => self.heartbeat(&heartbeat).await?,
                    // The broker closed, or the connection broke.
                    Ok(None) | Err(_) => return Ok(()),
                },
                change = self.changes.recv() => self.change(change).await?,
                _ = role.changed() => self.check_active()?,
                () = self.messages.closed() => return Ok(()),
            }
        }
    }

    async fn heartbeat(&mut self, heartbeat: &BrokerSessionRequest) -> Result<(), ErrorDetail> {
        if BrokerId(heartbeat.broker_id) != self.guard.broker_id
            || BrokerEpoch(heartbeat.broker_epoch) != self.broker_epoch
        {
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, "the broker changed within a session"));
        }
        // A controller that heard no majority must not extend a lease: another may be active.
        self.check_active()?;
        check_epoch(&self.node, self.guard.broker_id, self.broker_epoch)?;
        self.renew_token(heartbeat)?;
        let Connection { sessions, broker_id, id, .. } = &self.guard;
        // What it has of another history counts for nothing.
        let connects = self.sent.is_some();
        let applied = if connects { MetadataIndex(heartbeat.applied_index) } else { MetadataIndex(0) };
        let lease_ms = sessions.heartbeat(*broker_id, *id, applied, heartbeat.ready).await?;
        let lease_ms = u32::try_from(lease_ms).unwrap_or(u32::MAX);
        let mut answer = BrokerSessionResponse { lease_ms, ..self.time(heartbeat) };
        self.send_committed().await?;
        if self.sent.is_some() {
            return self.send(answer).await;
        }
        let Beginning { snapshot, index, deltas, changes } = self.snapshots.begin(self.node.view()).await?;
        self.changes = changes;
        self.sent = Some(deltas.last().map_or(index, |last| last.index));
        answer.snapshot = snapshot;
        answer.deltas = deltas.iter().map(|delta| delta.encoded()).collect();
        self.send(answer).await
    }

    /// Takes what the heartbeat says of the broker's clock and disk. What time it is here, and whether that clock is right.
    fn time(&self, heartbeat: &BrokerSessionRequest) -> BrokerSessionResponse {
        let (broker_id, node) = (self.guard.broker_id, &self.node);
        node.clocks().heartbeat(broker_id, self.term, heartbeat.wall_ms, heartbeat.clock_distrust);
        let damaged = heartbeat.damaged.clone().filter(|damaged| damaged.count > 0);
        node.damaged().heartbeat(broker_id, self.term, damaged);
        let unopened = heartbeat.unopened.clone().filter(|unopened| unopened.count > 0);
        node.unopened().heartbeat(broker_id, self.term, unopened);
        // An earlier broker says nothing of its own, and compares.
        let (verdict, clock_ahead_ms) =
            if heartbeat.wall_ms > 0 { node.clock_verdict(broker_id) } else { (ClockVerdict::Unspecified, 0) };
        let clock_verdict = verdict.into();
        BrokerSessionResponse { wall_ms: Clocks::wall_ms(), clock_verdict, clock_ahead_ms, ..Default::default() }
    }

    /// Lets the broker's folder show another token, if it holds one by now. The heartbeat's answer does not wait for it: the
    /// broker says it again until the metadata has it.
    fn renew_token(&mut self, heartbeat: &BrokerSessionRequest) -> Result<(), ErrorDetail> {
        let Some(token) = optional_id(&heartbeat.next_token, "next_token")? else { return Ok(()) };
        let (broker_id, broker_epoch) = (self.guard.broker_id, self.broker_epoch);
        let image = self.node.view().image();
        let is_new = image.broker(broker_id).is_some_and(|broker| broker.token != Some(token));
        let is_under_way = self.renewal.as_ref().is_some_and(|renewal| !renewal.is_finished());
        if is_new && !is_under_way && image.version() >= TRUST {
            let node = self.node.clone();
            let command = Command::RenewFolderToken { broker_id, broker_epoch, token };
            self.renewal = Some(tokio::spawn(async move {
                if let Err(error) = node.propose(Proposer::Broker, command).await {
                    tracing::info!(%broker_id, %error, "the token of a broker's folder is not renewed yet");
                }
            }));
        }
        Ok(())
    }

    /// Refuses unless this controller is active, in the term that the session is of: one that lost its leadership and has
    /// another forgot its sessions between.
    fn check_active(&self) -> Result<(), ErrorDetail> {
        self.node.check_active()?;
        if self.node.role().borrow().term == self.term {
            return Ok(());
        }
        Err(ErrorDetail::new(ErrorCode::NotController, "the session is of an earlier leadership: open another"))
    }

    /// Sends what is committed by now: a lease must not reach a broker before the state that ends what it leads.
    async fn send_committed(&mut self) -> Result<(), ErrorDetail> {
        for deltas in std::mem::take(&mut self.since).chunks(DELTAS) {
            self.send_deltas(deltas).await?;
        }
        let committed = self.node.view().image().index();
        while self.sent.is_some_and(|sent| sent < committed) {
            // It is there: a change is published before its image can be seen.
            let change = self.changes.recv().await;
            self.change(change).await?;
        }
        Ok(())
    }

    async fn change(&mut self, change: Result<Change, broadcast::error::RecvError>) -> Result<(), ErrorDetail> {
        let mut next = Some(change);
        let mut deltas: Vec<Arc<Delta>> = Vec::new();
        while let Some(change) = next.take() {
            match change {
                Ok(Change::Delta(delta)) => deltas.push(delta),
                Ok(Change::Reset) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.sent = None;
                    return Ok(());
                }
                Err(broadcast::error::RecvError::Closed) => return Err(ErrorDetail::from(ErrorCode::ShuttingDown)),
            }
            if deltas.len() < DELTAS {
                next = match self.changes.try_recv() {
                    Ok(change) => Some(Ok(change)),
                    Err(broadcast::error::TryRecvError::Lagged(by)) => {
                        Some(Err(broadcast::error::RecvError::Lagged(by)))
                    }
                    Err(_) => None,
                };
            }
        }
        let Some(sent) = self.sent else { return Ok(()) };
        deltas.retain(|delta| delta.index > sent);
        self.send_deltas(&deltas).await
    }

    async fn send_deltas(&mut self, deltas: &[Arc<Delta>]) -> Result<(), ErrorDetail> {
        let Some(last) = deltas.last() else { return Ok(()) };
        self.sent = Some(last.index);
        let deltas = deltas.iter().map(|delta| delta.encoded()).collect();
        self.send(BrokerSessionResponse { deltas, ..BrokerSessionResponse::default() }).await
    }

    async fn send(&mut self, message: BrokerSessionResponse) -> Result<(), ErrorDetail> {
        let timeout = Duration::from_millis(self.node.config().broker_session_timeout_ms);
        match tokio::time::timeout(timeout, self.messages.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ErrorDetail::from(ErrorCode::ShuttingDown)),
            Err(_) => Err(ErrorDetail::new(ErrorCode::Overloaded, "the broker reads its metadata too slowly")),
        }
    }
}
