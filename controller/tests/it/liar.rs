//! Something that listens at a controller's address, and refuses everybody for good.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status, Streaming, transport::Server};

use holdfast_proto::{
    detail::ErrorDetail,
    ids::ControllerId,
    v1::{
        AppendEntriesRequest, AppendEntriesResponse, GetControllerStateRequest, GetControllerStateResponse,
        GetFormationRequest, GetFormationResponse, InstallSnapshotRequest, InstallSnapshotResponse, JoinQuorumRequest,
        JoinQuorumResponse, RaftEnvelope, RequestVoteRequest, RequestVoteResponse, TransferLeaderRequest,
        TransferLeaderResponse,
        raft_service_server::{RaftService, RaftServiceServer},
    },
};

use crate::support::Quorum;

/// What it says to a controller with this node id.
type Says = Box<dyn Fn(ControllerId) -> ErrorDetail + Send>;

/// What it says now, and how often it said that to whom.
struct Told {
    says: Says,
    heard: BTreeMap<u64, u64>,
}

struct Liar(Arc<Mutex<Told>>);

/// It listens until this is dropped.
pub(crate) struct Listening {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Says something else from now on.
    pub(crate) fn say(&self, says: Says) {
        *self.told.lock() = Told { says, heard: BTreeMap::new() };
    }

    /// How often somebody heard what it says now.
    pub(crate) fn most_heard(&self) -> u64 {
        self.told.lock().heard.values().copied().max().unwrap_or(0)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets it listen at the address of a controller that is not running.
pub(crate) fn listen(quorum: &Quorum, at: usize, says: Says) -> Listening {
    let told = Arc::new(Mutex::new(Told { says, heard: BTreeMap::new() }));
    let liar = Liar(Arc::clone(&told));
    let address: SocketAddr = quorum.addresses[at].parse().expect("an address");
    let task = quorum.runtime().spawn(async move {
        let server = Server::builder().add_service(RaftServiceServer::new(liar));
        server.serve(address).await.expect("it is served");
    });
    Listening { told, task }
}

impl Liar {
    fn refuse<T>(&self, caller: u64) -> Result<Response<T>, Status> {
        let mut told = self.0.lock();
        *told.heard.entry(caller).or_default() += 1;
        Err((told.says)(ControllerId(caller)).into())
    }

    fn refuse_sender<T>(&self, envelope: Option<&RaftEnvelope>) -> Result<Response<T>, Status> {
        self.refuse(envelope.and_then(|envelope| envelope.header.as_ref()).map_or(0, |header| header.source_node_id))
    }
}

#[tonic::async_trait]
impl RaftService for Liar {
    async fn append_entries(
        &self,
        request: Request<AppendEntriesRequest>,
    ) -> Result<Response<AppendEntriesResponse>, Status> {
        self.refuse_sender(request.get_ref().envelope.as_ref())
    }

    async fn request_vote(
        &self,
        request: Request<RequestVoteRequest>,
    ) -> Result<Response<RequestVoteResponse>, Status> {
        self.refuse_sender(request.get_ref().envelope.as_ref())
    }

    async fn pre_vote(&self, request: Request<RequestVoteRequest>) -> Result<Response<RequestVoteResponse>, Status> {
        self.refuse_sender(request.get_ref().envelope.as_ref())
    }

    async fn install_snapshot(
        &self,
        _: Request<Streaming<InstallSnapshotRequest>>,
    ) -> Result<Response<InstallSnapshotResponse>, Status> {
        Err(Status::unimplemented("no snapshot"))
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        self.refuse_sender(request.get_ref().envelope.as_ref())
    }

    async fn get_formation(
        &self,
        request: Request<GetFormationRequest>,
    ) -> Result<Response<GetFormationResponse>, Status> {
        self.refuse(request.get_ref().source_node_id)
    }

    async fn join_quorum(&self, request: Request<JoinQuorumRequest>) -> Result<Response<JoinQuorumResponse>, Status> {
        self.refuse(request.get_ref().node_id)
    }

    async fn get_controller_state(
        &self,
        _: Request<GetControllerStateRequest>,
    ) -> Result<Response<GetControllerStateResponse>, Status> {
        Err(Status::unimplemented("no state"))
    }
}
