//! `ControllerService`: what brokers ask of the active controller.

use std::pin::Pin;

use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use holdfast_metadata::{
    AlterPartition, Command, DistrustReplicas, Image, IsrChange, IsrMember, RegisterBroker, Response as Done,
    VersionRange, is_same_folder,
    limits::{MAX_ISR_CHANGES, MAX_REPLICATION_FACTOR},
    version::TRUST,
};
use holdfast_metadata_wire::{records::state_to_message, registration};
use holdfast_proto::{
    convert::{check_peer, leader_epoch, partition, partition_error, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, Offset, PartitionEpoch},
    v1::{
        self, AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionsRequest, AlterPartitionsResponse,
        BrokerSessionRequest, BrokerSessionResponse, ControlledShutdownRequest, ControlledShutdownResponse,
        DistrustReplicasRequest, DistrustReplicasResponse, IsrChangeResult, PeerHeader, RegisterBrokerRequest,
        RegisterBrokerResponse, controller_service_server::ControllerService,
    },
};

use super::{
    answer::unexpected,
    sessions::{self, check_epoch},
    snapshots::Snapshots,
};
use crate::{actors::SessionsHandle, admission::Proposer, node::Node};

/// Checks that this controller is active and meant, then proposes to `node` or passes on to `sessions`.
pub(super) struct ControllerEdge {
    node: Node,
    sessions: SessionsHandle,
    snapshots: Snapshots,
}

impl ControllerEdge {
    pub(super) fn new(node: Node, sessions: SessionsHandle) -> Self {
        Self { node, sessions, snapshots: Snapshots::default() }
    }

    /// Refuses unless this controller is active and the call is meant for this cluster.
    fn check(&self, header: Option<PeerHeader>) -> Result<(), ErrorDetail> {
        let cluster_id = self.node.cluster_id().ok_or_else(|| {
            ErrorDetail::new(ErrorCode::NotController, "no cluster is formed yet, so there is no active controller")
        })?;
        check_peer(header, cluster_id, self.node.id(), true)?;
        self.node.check_active()
    }
}

#[tonic::async_trait]
impl ControllerService for ControllerEdge {
    type BrokerSessionStream = Pin<Box<dyn Stream<Item = Result<BrokerSessionResponse, Status>> + Send>>;

    async fn register_broker(
        &self,
        request: Request<RegisterBrokerRequest>,
    ) -> Result<Response<RegisterBrokerResponse>, Status> {
        let request = request.into_inner();
        self.check(request.header.clone())?;
        let broker_id = BrokerId(request.broker_id);
        let directory_id = required_id(&request.directory_id, "directory_id")?;
        let image = self.node.view().image();
        // What came with a version that is not finalised means nothing yet, and older controllers would not know it.
        let proves = image.version() >= TRUST;
        if request.known_index > image.index().0 {
            return Ok(Response::new(lost_metadata(broker_id, request.known_index, &image)));
        }
        let folder = registration::shown_folder(&request)?;
        let mut registration = RegisterBroker {
            broker_id,
            incarnation_id: required_id(&request.incarnation_id, "incarnation_id")?,
            directory_id,
            boot_counter: request.boot_counter,
            client_address: request.client_address,
            peer_address: request.peer_address,
            rack: Some(request.rack).filter(|rack| !rack.is_empty()),
            versions: VersionRange::from_numbers(request.min_metadata_version, request.max_metadata_version),
            old_session_alive: false,
            replaces: request.replaces_broker_epoch.filter(|_| proves).map(BrokerEpoch),
            folder: folder.filter(|_| proves),
        };
        let other_folder = is_of_other_folder(&image, &registration);
        // What is refused anyway must not end its earlier session; and a start that is registered takes no other's place.
        self.node.check_refusal(&Command::RegisterBroker(registration.clone()))?;
        if !is_registered(&image, &registration) {
            registration.old_session_alive = self.sessions.is_alive(broker_id, !other_folder).await?;
        }
        match self.node.propose(Proposer::Broker, Command::RegisterBroker(registration)).await? {
            (index, Done::BrokerRegistered { broker_epoch }) => {
                tracing::info!(%broker_id, %broker_epoch, %index, "broker registered");
                if other_folder {
                    tracing::warn!(
                        %broker_id,
                        directory = %directory_id,
                        "the broker came with another data folder than the last, or with a copy or an older state of it: \
                         none of its replicas counts until it has copied them again"
                    );
                }
                let (broker_epoch, index) = (broker_epoch.0, index.0);
                Ok(Response::new(RegisterBrokerResponse { broker_epoch, index, other_folder, ..Default::default() }))
            }
            (_, answer) => Err(unexpected(&answer).into()),
        }
    }

    async fn broker_session(
        &self,
        request: Request<Streaming<BrokerSessionRequest>>,
    ) -> Result<Response<Self::BrokerSessionStream>, Status> {
        let mut heartbeats = request.into_inner();
        let first = sessions::first(&mut heartbeats).await?;
        self.check(first.header.clone())?;
        let stream =
            sessions::open(self.node.clone(), self.sessions.clone(), self.snapshots.clone(), first, heartbeats).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn alter_partitions(
        &self,
        request: Request<AlterPartitionsRequest>,
    ) -> Result<Response<AlterPartitionsResponse>, Status> {
        let request = request.into_inner();
        self.check(request.header)?;
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        // Before anything is made of what it proposes.
        check_epoch(&self.node, broker_id, broker_epoch)?;
        if request.changes.len() > MAX_ISR_CHANGES {
            let message = format!("{} changes in one request; at most {MAX_ISR_CHANGES}", request.changes.len());
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, message).into());
        }
        let proves = self.node.view().image().version() >= TRUST;
        let changes = request.changes.into_iter().map(|change| isr_change(change, proves)).collect::<Result<_, _>>()?;
        let command = Command::AlterPartition(AlterPartition { broker_id, broker_epoch, changes });
        match self.node.propose(Proposer::Broker, command).await? {
            (_, Done::PartitionsAltered { results }) => {
                let results = results.into_iter().map(|result| match result {
                    Ok(state) => IsrChangeResult { state: Some(state_to_message(&state)), error: None },
                    Err(refusal) => IsrChangeResult { state: None, error: Some(partition_error(refusal.into())) },
                });
                Ok(Response::new(AlterPartitionsResponse { results: results.collect() }))
            }
            (_, answer) => Err(unexpected(&answer).into()),
        }
    }

    async fn distrust_replicas(
        &self,
        request: Request<DistrustReplicasRequest>,
    ) -> Result<Response<DistrustReplicasResponse>, Status> {
        let request = request.into_inner();
        self.check(request.header)?;
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        check_epoch(&self.node, broker_id, broker_epoch)?;
        let replicas = registration::untrusted_from_messages(request.replicas)?;
        tracing::warn!(%broker_id, ?replicas, "a broker does not vouch for replicas of its own any more");
        let command = Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch, replicas });
        match self.node.propose(Proposer::Broker, command).await? {
            (index, Done::ReplicasDistrusted) => Ok(Response::new(DistrustReplicasResponse { index: index.0 })),
            (_, answer) => Err(unexpected(&answer).into()),
        }
    }

    async fn allocate_producer_ids(
        &self,
        request: Request<AllocateProducerIdsRequest>,
    ) -> Result<Response<AllocateProducerIdsResponse>, Status> {
        let request = request.into_inner();
        self.check(request.header)?;
        let command = Command::AllocateProducerIds {
            broker_id: BrokerId(request.broker_id),
            broker_epoch: BrokerEpoch(request.broker_epoch),
        };
        match self.node.propose(Proposer::Broker, command).await? {
            (_, Done::ProducerIds { first_producer_id, count }) => {
                Ok(Response::new(AllocateProducerIdsResponse { first_producer_id: first_producer_id.0, count }))
            }
            (_, answer) => Err(unexpected(&answer).into()),
        }
    }

    async fn controlled_shutdown(
        &self,
        request: Request<ControlledShutdownRequest>,
    ) -> Result<Response<ControlledShutdownResponse>, Status> {
        let request = request.into_inner();
        self.check(request.header)?;
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        let command = if request.stopped {
            Command::FenceBroker { broker_id, broker_epoch }
        } else {
            Command::BeginControlledShutdown { broker_id, broker_epoch }
        };
        let (index, answer) = self.node.propose(Proposer::Broker, command).await?;
        let remaining_leaders = match answer {
            Done::ControlledShutdown { remaining_leaders } => remaining_leaders,
            Done::BrokerFenced => 0,
            answer => return Err(unexpected(&answer).into()),
        };
        tracing::info!(%broker_id, stopped = request.stopped, remaining_leaders, "a broker leaves");
        Ok(Response::new(ControlledShutdownResponse { remaining_leaders, index: index.0 }))
    }
}

/// True if this very start is registered: its first answer was lost.
fn is_registered(image: &Image, command: &RegisterBroker) -> bool {
    image.broker(command.broker_id).is_some_and(|known| known.incarnation_id == command.incarnation_id)
}

/// Nothing is registered by metadata that lacks what a broker knows to be committed: what is known of its folder there is older
/// than that folder, and would speak against all its replicas.
fn lost_metadata(broker_id: BrokerId, known_index: u64, image: &Image) -> RegisterBrokerResponse {
    let index = image.index();
    tracing::error!(
        %broker_id,
        %index,
        known_index,
        "a broker is not registered, for its folder knows metadata to be committed that is lost here: were the data folders of \
         the controllers restored from older copies? Stop the controllers, and start those whose folders are the newest; if \
         these are gone for good, see 'The controllers have lost metadata' in the runbook"
    );
    RegisterBrokerResponse { index: index.0, metadata_went_back: true, ..RegisterBrokerResponse::default() }
}

/// True if the folder is not the one that registered last under this id, as the image has it.
fn is_of_other_folder(image: &Image, command: &RegisterBroker) -> bool {
    let old = image.broker(command.broker_id);
    let old = old.filter(|old| old.incarnation_id != command.incarnation_id);
    old.is_some_and(|old| !is_same_folder(old, command))
}

/// `proves`: high watermarks mean something in the metadata version that is finalised.
fn isr_change(change: v1::IsrChange, proves: bool) -> Result<IsrChange, ErrorDetail> {
    if change.new_isr.len() > MAX_REPLICATION_FACTOR as usize {
        let message = format!("an ISR of {} members; at most {MAX_REPLICATION_FACTOR}", change.new_isr.len());
        return Err(ErrorDetail::new(ErrorCode::InvalidRequest, message));
    }
    let member = |member: v1::IsrMember| IsrMember {
        broker_id: BrokerId(member.broker_id),
        broker_epoch: BrokerEpoch(member.broker_epoch),
    };
    Ok(IsrChange {
        topic_id: required_id(&change.topic_id, "topic_id")?,
        partition: partition(change.partition, "partition")?,
        leader_epoch: leader_epoch(change.leader_epoch, "leader_epoch")?,
        partition_epoch: PartitionEpoch(change.partition_epoch),
        new_isr: change.new_isr.into_iter().map(member).collect(),
        high_watermark: change.high_watermark.map(Offset).filter(|_| proves),
        high_watermark_epoch: change
            .high_watermark_epoch
            .map(|epoch| leader_epoch(epoch, "high_watermark_epoch"))
            .transpose()?
            .filter(|_| proves),
    })
}
