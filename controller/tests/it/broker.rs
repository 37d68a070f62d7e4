//! A broker that does nothing but register and keep its session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

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
        min_metadata_version: 1,
        max_metadata_version: 1,
    }
}

/// Messages that came down, and the switch that ends the session.
pub(crate) struct Broker {
    pub(crate) id: u32,
    pub(crate) epoch: u64,
    pub(crate) messages: Arc<Mutex<Vec<BrokerSessionResponse>>>,
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
            loop {
                for address in &addresses {
                    session(address, cluster, disk.id, registered, &seen, &quiet).await;
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

/// True if the message brings the whole state.
pub(crate) fn has_snapshot(message: &BrokerSessionResponse) -> bool {
    message.snapshot.is_some()
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
    seen: &Mutex<Vec<BrokerSessionResponse>>,
    silent: &AtomicBool,
) {
    let (heartbeats, outgoing) = mpsc::channel(16);
    let mut applied = 0;
    let beat = |applied: u64, first: bool| BrokerSessionRequest {
        header: first.then(|| peer_header(cluster, 0, id.into())),
        broker_id: id,
        broker_epoch: registered.broker_epoch,
        applied_index: applied,
        ready: applied >= registered.index,
    };
    let _ = heartbeats.send(beat(0, true)).await;
    let mut client = ControllerServiceClient::new(channel(address));
    let Ok(stream) = client.broker_session(ReceiverStream::new(outgoing)).await else { return };
    let mut stream = stream.into_inner();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if !silent.load(Ordering::SeqCst) && heartbeats.send(beat(applied, false)).await.is_err() {
                    return;
                }
            }
            message = stream.message() => {
                let Ok(Some(message)) = message else { return };
                let index = message.deltas.last().map(|d| d.index).or(message.snapshot.as_ref().map(|s| s.index));
                applied = index.unwrap_or(applied);
                seen.lock().push(message);
            }
        }
    }
}
