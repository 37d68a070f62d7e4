//! openraft's network over `RaftService`: the calling side.
//!
//! 1. Every call names the cluster and the node that is meant, so that an address that now belongs to another node
//!    does no harm.
//! 2. Every call has a deadline. A node that cannot be reached is `Unreachable`, so that openraft backs off.
//! 3. A client outlives a change of its node's address: each call asks ([`Reach`]) where the node is now.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use openraft::{
    BasicNode, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2,
    entry::RaftEntry,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
        VoteRequest, VoteResponse,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tonic::{Code, Response, Status, transport::Channel};

use holdfast_proto::{
    convert::required,
    status::from_status,
    v1::{
        AppendEntriesRequest as AppendEntriesMessage, InstallSnapshotRequest, RequestVoteRequest,
        TransferLeaderRequest as TransferLeaderMessage, raft_service_client::RaftServiceClient,
    },
};

use super::{
    envelope::{MAX_MESSAGE_BYTES, read, said, wrap},
    lineages::{Lineages, Sender},
    reach::Reach,
    types::{Snapshot, SnapshotMeta, TypeConfig, Vote},
};
use crate::{
    channels::{Channels, Purpose},
    clocks::Clocks,
    identity::DataDir,
};

/// Bytes of log entries in one call, as JSON; one entry may be more.
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Bytes of a snapshot in one message.
const CHUNK_BYTES: usize = 1 << 20;

/// Makes two clients for each peer, one for calls and one for snapshots. Clones share the connections.
#[derive(Clone)]
pub struct Network {
    data: Arc<DataDir>,
    channels: Channels,
    append_timeout: Duration,
    reach: Reach,
    lineages: Lineages,
    clocks: Clocks,
}

/// The client of one peer.
pub struct Peer {
    target: u64,
    /// In the membership, when the client was made.
    listed: String,
    purpose: Purpose,
    network: Network,
}

impl Network {
    /// A network of the node in `data`. `append_timeout` is the least deadline of a call with log entries: the peer's
    /// fsync may take longer than a heartbeat's interval. `reach` says where peers are, and is told who was reached;
    /// `lineages` what each answer shows of who gives it, `clocks` what time it is there.
    pub const fn new(
        data: Arc<DataDir>,
        channels: Channels,
        append_timeout: Duration,
        reach: Reach,
        lineages: Lineages,
        clocks: Clocks,
    ) -> Self {
        Self { data, channels, append_timeout, reach, lineages, clocks }
    }

    fn peer(&self, target: u64, node: &BasicNode, purpose: Purpose) -> Peer {
        self.reach.list(target, &node.addr);
        Peer { target, listed: node.addr.clone(), purpose, network: self.clone() }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(target, node, Purpose::Calls)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.peer(target, node, Purpose::Bulk)
    }
}

impl Peer {
    /// A client of the node, and the address at which it calls.
    fn client(&self) -> Result<(RaftServiceClient<Channel>, String), RPCError<TypeConfig>> {
        let address = self.network.reach.address(self.target, &self.listed);
        let channel = self.network.channels.get(&address, self.purpose).map_err(|error| {
            self.not_reached(&address, &error.to_string());
            unreachable(&error)
        })?;
        let client = RaftServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok((client, address))
    }

    fn envelope<T: Serialize>(&self, body: &T) -> Result<holdfast_proto::v1::RaftEnvelope, RPCError<TypeConfig>> {
        let identity = self.network.data.identity();
        let cluster_id = identity.cluster_id.ok_or_else(|| {
            RPCError::Unreachable(Unreachable::from_string("this controller does not belong to a cluster yet"))
        })?;
        let lineages = self.network.lineages.shown(self.target);
        wrap(cluster_id, self.target, identity.node_id, lineages, body).map_err(|error| network(&error))
    }

    /// Runs a call to this address under a deadline and reads its answer.
    async fn call<T: DeserializeOwned, R>(
        &self,
        address: &str,
        action: RPCTypes,
        deadline: Duration,
        call: impl Future<Output = Result<Response<R>, Status>>,
        envelope: impl FnOnce(R) -> Option<holdfast_proto::v1::RaftEnvelope>,
    ) -> Result<T, RPCError<TypeConfig>> {
        let asked = self.network.clocks.now();
        match tokio::time::timeout(deadline, call).await {
            Err(_) => {
                self.not_reached(address, "no answer in time");
                Err(self.timed_out(action, deadline))
            }
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                self.not_reached(address, "no answer in time");
                Err(self.timed_out(action, deadline))
            }
            Ok(Err(status)) => {
                self.refused(&status).await;
                self.not_reached(address, status.message());
                Err(unreachable(&status))
            }
            Ok(Ok(response)) => {
                self.network.reach.reached(self.target, address);
                let mut answer =
                    required(envelope(response.into_inner()), "envelope").map_err(|detail| network(&detail))?;
                let sender = Sender { node_id: self.target, cluster_id: self.network.data.cluster_id() };
                self.network.lineages.hear(sender, &said(&mut answer)).await.map_err(|detail| network(&detail))?;
                // When it was that the answer to a whole snapshot was given is not known: half a minute is nothing there.
                if action != RPCTypes::InstallSnapshot {
                    self.network.clocks.answered(self.target, asked, answer.wall_ms);
                }
                read(&answer).map_err(|detail| network(&detail))
            }
        }
    }

    /// Ends this controller if that is what the status asks for.
    async fn refused(&self, status: &Status) {
        if let Some(detail) = from_status(status) {
            self.network.lineages.answered(&format!("controller {}", self.target), &detail).await;
        }
    }

    fn not_reached(&self, address: &str, why: &str) {
        self.network.reach.failed(self.target, address, why);
    }

    fn timed_out(&self, action: RPCTypes, timeout: Duration) -> RPCError<TypeConfig> {
        RPCError::Timeout(Timeout { action, id: self.network.data.node_id(), target: self.target, timeout })
    }

    async fn request_vote(
        &self,
        pre_vote: bool,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = RequestVoteRequest { envelope: Some(self.envelope(&rpc)?) };
        let (mut client, address) = self.client()?;
        let call =
            async move { if pre_vote { client.pre_vote(message).await } else { client.request_vote(message).await } };
        self.call(&address, RPCTypes::Vote, option.soft_ttl(), call, |answer| answer.envelope).await
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut envelope = self.envelope(&rpc)?;
        let mut shortened = false;
        while envelope.body.len() > MAX_BATCH_BYTES && rpc.entries.len() > 1 {
            rpc.entries.truncate(rpc.entries.len() / 2);
            envelope = self.envelope(&rpc)?;
            shortened = true;
        }
        let deadline = option.soft_ttl().max(self.network.append_timeout);
        let (mut client, address) = self.client()?;
        let call = async move { client.append_entries(AppendEntriesMessage { envelope: Some(envelope) }).await };
        let response = self.call(&address, RPCTypes::AppendEntries, deadline, call, |answer| answer.envelope).await?;
        match response {
            AppendEntriesResponse::Success if shortened => {
                Ok(AppendEntriesResponse::PartialSuccess(rpc.entries.last().map(RaftEntry::log_id)))
            }
            response => Ok(response),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.request_vote(false, rpc, option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.request_vote(true, rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let head = SnapshotHead { vote, meta: snapshot.meta };
        let first = InstallSnapshotRequest { envelope: Some(self.envelope(&head)?), chunk: Bytes::new() };
        let data = snapshot.snapshot;
        let chunks = (0..data.len()).step_by(CHUNK_BYTES).map(move |at| InstallSnapshotRequest {
            envelope: None,
            chunk: data.slice(at..data.len().min(at + CHUNK_BYTES)),
        });
        let messages = futures::stream::iter(std::iter::once(first).chain(chunks));
        let (mut client, address) = self.client()?;
        let call = async move { client.install_snapshot(messages).await };
        let call = self.call(&address, RPCTypes::InstallSnapshot, option.hard_ttl(), call, |answer| answer.envelope);
        tokio::select! {
            response = call => Ok(response?),
            closed = cancel.fuse() => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = TransferLeaderMessage { envelope: Some(self.envelope(&req)?) };
        let (mut client, _) = self.client()?;
        let deadline = option.soft_ttl().max(self.network.append_timeout);
        match tokio::time::timeout(deadline, client.transfer_leader(message)).await {
            Err(_) => Err(self.timed_out(RPCTypes::TransferLeader, deadline)),
            Ok(Err(status)) => {
                self.refused(&status).await;
                Err(unreachable(&status))
            }
            Ok(Ok(_)) => Ok(Ok(())),
        }
    }
}

/// The first message of a snapshot.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct SnapshotHead {
    pub(super) vote: Vote,
    pub(super) meta: SnapshotMeta,
}

fn unreachable<E: std::error::Error + 'static>(error: &E) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(error))
}

fn network<E: std::error::Error + 'static>(error: &E) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(error))
}
