//! A broker that does nothing but register and keep its session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

use holdfast_metadata::{HistoryHash, version::SUPPORTED};
use holdfast_metadata_wire::stream::{self, Told};
use holdfast_proto::{
    convert::peer_header,
    ids::{ClusterId, DirectoryId, IncarnationId},
    status::from_status,
    v1::{
        BrokerSessionRequest, BrokerSessionResponse, RegisterBrokerRequest, RegisterBrokerResponse,
        controller_service_client::ControllerServiceClient,
    },
};

use crate::support::{Quorum, channel};

/// What it knows of its folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) id: u32,
    pub(crate) directory: DirectoryId,
    pub(crate) boot: u64,
}

impl Disk {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, directory: DirectoryId(Uuid::new_v4()), boot: 1 }
    }
}

pub(crate) fn registration(cluster: ClusterId, disk: Disk) -> RegisterBrokerRequest {
    RegisterBrokerRequest {
        header: Some(peer_header(cluster, 0, disk.id.into())),
        broker_id: disk.id,
        incarnation_id: IncarnationId(Uuid::new_v4()).to_bytes(),
        directory_id: disk.directory.to_bytes(),
        boot_counter: disk.boot,
        client_address: format!("client-{}:1", disk.id),
        peer_address: format!("peer-{}:1", disk.id),
        rack: String::new(),
        min_metadata_version: SUPPORTED.min.0,
        max_metadata_version: SUPPORTED.max.0,
        ..RegisterBrokerRequest::default()
    }
}

/// A message that came down, read.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) snapshot: Option<Told>,
    pub(crate) deltas: Vec<Told>,
    pub(crate) lease_ms: u32,
}

impl From<BrokerSessionResponse> for Heard {
    fn from(message: BrokerSessionResponse) -> Self {
        let snapshot = Some(message.snapshot).filter(|bytes| !bytes.is_empty());
        Self {
            snapshot: snapshot.map(|bytes| stream::read_snapshot(bytes).expect("a snapshot")),
            deltas: message.deltas.into_iter().map(|bytes| stream::read_delta(bytes).expect("a change")).collect(),
            lease_ms: message.lease_ms,
        }
    }
}

/// Messages that came down, and the switch that ends the session.
pub(crate) struct Broker {
    pub(crate) id: u32,
    pub(crate) epoch: u64,
    pub(crate) messages: Arc<Mutex<Vec<Heard>>>,
    silent: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Broker {
    /// Registers with the active controller and keeps a session with it, also when another becomes active.
    pub(crate) fn start(quorum: &Quorum, disk: Disk) -> Self {
        let cluster = quorum.cluster_id();
        let addresses = quorum.addresses.clone();
        let registered: RegisterBrokerResponse = quorum.block_on(register(&addresses, cluster, disk));
        let messages = Arc::new(Mutex::new(Vec::new()));
        let silent = Arc::new(AtomicBool::new(false));
        let (seen, quiet) = (Arc::clone(&messages), Arc::clone(&silent));
        let epoch = registered.broker_epoch;
        let task = quorum.runtime().spawn(async move {
            let mut applied = Applied::default();
            loop {
                for address in &addresses {
                    session(address, cluster, disk.id, registered, (&seen, &mut applied), &quiet).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Self { id: disk.id, epoch, messages, silent, task }
    }

    /// Stops its heartbeats, but keeps the connection.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Breaks its connection, as a killed process does.
    pub(crate) fn kill(&self) {
        self.task.abort();
    }
}

/// What a broker has applied, and the hash that came with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    pub(crate) index: u64,
    pub(crate) history: Option<HistoryHash>,
}

impl Applied {
    pub(crate) fn hash(self) -> Bytes {
        self.history.map(|hash| Bytes::copy_from_slice(&hash.to_bytes())).unwrap_or_default()
    }

    fn note(&mut self, heard: &Heard) {
        if let Some(last) = heard.deltas.last().or(heard.snapshot.as_ref()) {
            *self = Self { index: last.index.0, history: last.history };
        }
    }
}

/// A session that was just opened, and what came up to the answer to its first heartbeat.
pub(crate) struct Begun {
    pub(crate) heard: Vec<Heard>,
    _heartbeats: mpsc::Sender<BrokerSessionRequest>,
    _stream: Streaming<BrokerSessionResponse>,
}

/// Opens a session of a broker that has applied so much, and waits for the answer to its first heartbeat.
pub(crate) async fn begin(address: &str, cluster: ClusterId, id: u32, epoch: u64, applied: Applied) -> Begun {
    let (heartbeats, outgoing) = mpsc::channel(4);
    let first = BrokerSessionRequest {
        header: Some(peer_header(cluster, 0, id.into())),
        broker_id: id,
        broker_epoch: epoch,
        applied_index: applied.index,
        ready: false,
        history_hash: applied.hash(),
        ..BrokerSessionRequest::default()
    };
    heartbeats.send(first).await.expect("a heartbeat");
    let mut client = ControllerServiceClient::new(channel(address)).max_decoding_message_size(64 << 20);
    let mut stream = client.broker_session(ReceiverStream::new(outgoing)).await.expect("a session").into_inner();
    let mut heard: Vec<Heard> = Vec::new();
    while heard.last().is_none_or(|last| last.lease_ms == 0) {
        heard.push(stream.message().await.expect("a message").expect("before the end").into());
    }
    Begun { heard, _heartbeats: heartbeats, _stream: stream }
}

async fn register(addresses: &[String], cluster: ClusterId, disk: Disk) -> RegisterBrokerResponse {
    let request = registration(cluster, disk);
    loop {
        for address in addresses {
            match ControllerServiceClient::new(channel(address)).register_broker(request.clone()).await {
                Ok(response) => return response.into_inner(),
                Err(status) => {
                    if let Some(detail) = from_status(&status) {
                        assert!(detail.retriable, "{detail}");
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn session(
    address: &str,
    cluster: ClusterId,
    id: u32,
    registered: RegisterBrokerResponse,
    (seen, applied): (&Mutex<Vec<Heard>>, &mut Applied),
    silent: &AtomicBool,
) {
    let (heartbeats, outgoing) = mpsc::channel(16);
    let beat = |applied: Applied, first: bool| BrokerSessionRequest {
        header: first.then(|| peer_header(cluster, 0, id.into())),
        broker_id: id,
        broker_epoch: registered.broker_epoch,
        applied_index: applied.index,
        ready: applied.index >= registered.index,
        history_hash: if first { applied.hash() } else { Bytes::new() },
        ..BrokerSessionRequest::default()
    };
    let _ = heartbeats.send(beat(*applied, true)).await;
    let mut client = ControllerServiceClient::new(channel(address));
    let Ok(stream) = client.broker_session(ReceiverStream::new(outgoing)).await else { return };
    let mut stream = stream.into_inner();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if !silent.load(Ordering::SeqCst) && heartbeats.send(beat(*applied, false)).await.is_err() {
                    return;
                }
            }
            message = stream.message() => {
                let Ok(Some(message)) = message else { return };
                let heard = Heard::from(message);
                applied.note(&heard);
                seen.lock().push(heard);
            }
        }
    }
}
