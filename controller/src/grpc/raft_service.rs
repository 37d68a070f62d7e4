//! `RaftService`: what other controllers send.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use holdfast_proto::{
    convert::required,
    detail::ErrorDetail,
    error::ErrorCode,
    v1::{
        AppendEntriesRequest, AppendEntriesResponse, GetControllerStateRequest, GetControllerStateResponse,
        GetFormationRequest, GetFormationResponse, InstallSnapshotRequest, InstallSnapshotResponse, JoinQuorumRequest,
        JoinQuorumResponse, RequestVoteRequest, RequestVoteResponse, TransferLeaderRequest, TransferLeaderResponse,
        raft_service_server::RaftService,
    },
};

use crate::{
    agreement::Agreement, config::Config, formation::answer_formation, identity::DataDir, node::Node,
    quorum::keeper::Keeper, raft::Inbound,
};

/// Longest wait for a snapshot's next part, of 1 MiB as a rule.
const PART: Duration = Duration::from_secs(5);

/// Serves the other controllers.
pub(super) struct RaftEdge {
    pub(super) config: Arc<Config>,
    pub(super) data: Arc<DataDir>,
    pub(super) node: Node,
    pub(super) inbound: Inbound,
    pub(super) keeper: Keeper,
    pub(super) agreement: Agreement,
}

/// The next part of a snapshot, which has to be here as a whole at `end`.
async fn next(
    messages: &mut Streaming<InstallSnapshotRequest>,
    end: Instant,
) -> Result<Option<InstallSnapshotRequest>, Status> {
    if let Ok(message) = tokio::time::timeout_at(end.min(Instant::now() + PART), messages.message()).await {
        return message;
    }
    let message = format!("no part of the snapshot came within {} s; send it again", PART.as_secs());
    Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message).into())
}

#[tonic::async_trait]
impl RaftService for RaftEdge {
    async fn append_entries(
        &self,
        request: Request<AppendEntriesRequest>,
    ) -> Result<Response<AppendEntriesResponse>, Status> {
        let envelope = self.inbound.append_entries(request.into_inner().envelope).await?;
        Ok(Response::new(AppendEntriesResponse { envelope: Some(envelope) }))
    }

    async fn request_vote(
        &self,
        request: Request<RequestVoteRequest>,
    ) -> Result<Response<RequestVoteResponse>, Status> {
        let envelope = self.inbound.vote(request.into_inner().envelope).await?;
        Ok(Response::new(RequestVoteResponse { envelope: Some(envelope) }))
    }

    async fn pre_vote(&self, request: Request<RequestVoteRequest>) -> Result<Response<RequestVoteResponse>, Status> {
        let envelope = self.inbound.pre_vote(request.into_inner().envelope).await?;
        Ok(Response::new(RequestVoteResponse { envelope: Some(envelope) }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<InstallSnapshotRequest>>,
    ) -> Result<Response<InstallSnapshotResponse>, Status> {
        let mut messages = request.into_inner();
        let first = required(next(&mut messages, Instant::now() + PART).await?, "envelope")?;
        let mut incoming = self.inbound.begin_snapshot(first.envelope).await?;
        incoming.push(&first.chunk)?;
        while let Some(part) = next(&mut messages, incoming.end()).await? {
            incoming.push(&part.chunk)?;
        }
        let envelope = self.inbound.install(incoming).await?;
        Ok(Response::new(InstallSnapshotResponse { envelope: Some(envelope) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        self.inbound.transfer_leader(request.into_inner().envelope).await?;
        Ok(Response::new(TransferLeaderResponse {}))
    }

    async fn get_formation(
        &self,
        request: Request<GetFormationRequest>,
    ) -> Result<Response<GetFormationResponse>, Status> {
        let leader = self.node.present_leader().map(|leader| leader.id.0);
        let (consensus, lineages) = (self.node.consensus(), self.inbound.lineages());
        let answer =
            answer_formation(&self.config, &self.data, consensus, lineages, leader, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn join_quorum(&self, request: Request<JoinQuorumRequest>) -> Result<Response<JoinQuorumResponse>, Status> {
        Ok(Response::new(self.keeper.join(request.into_inner()).await?))
    }

    async fn get_controller_state(
        &self,
        request: Request<GetControllerStateRequest>,
    ) -> Result<Response<GetControllerStateResponse>, Status> {
        Ok(Response::new(self.agreement.answer(request.into_inner()).await?))
    }
}
