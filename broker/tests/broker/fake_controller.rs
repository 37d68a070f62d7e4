//! A controller of one node: the real metadata machine, without a log and without Raft.
//!
//! It fences a broker as soon as its session's connection ends, so that tests wait for no timeout.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use holdfast_metadata::{
    AlterPartition, Command, ControllerVersions, CreateTopic, DistrustReplicas, FinalizeVersion, HistoryHash, Image,
    IsrChange, IsrMember, RegisterBroker, Rejection, Response as Decided, VersionRange, apply_command,
    version::{SUPPORTED, TRUST},
};
use holdfast_metadata_wire::{records, registration, stream};
use holdfast_proto::{
    convert::{partition_error, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{
        BrokerEpoch, BrokerId, ClusterId, ControllerId, FolderToken, LeaderEpoch, MetadataIndex, Offset,
        PartitionEpoch, PartitionIndex, TopicId,
    },
    v1::{
        self,
        admin_service_server::AdminServiceServer,
        controller_service_server::{ControllerService, ControllerServiceServer},
    },
};

const LEASE_MS: u32 = 2_000;

/// Stops when it is dropped.
pub(crate) struct FakeController {
    pub(crate) address: SocketAddr,
    pub(crate) cluster_id: ClusterId,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Drop for FakeController {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Messages = mpsc::Sender<Result<v1::BrokerSessionResponse, Status>>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) machine: Mutex<Machine>,
}

#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) image: Image,
    /// The session of each broker: epoch, number, and where its messages go.
    sessions: HashMap<BrokerId, (BrokerEpoch, u64, Messages)>,
    begun: u64,
    /// The hash as of each index, and its change.
    changes: Vec<(Option<HistoryHash>, Bytes)>,
    snapshots_sent: usize,
    /// Changes that brokers are not told of, while they are held back.
    held: Option<Vec<v1::BrokerSessionResponse>>,
    pub(crate) plan: Vec<v1::ReplicaMove>,
    /// It answers what is asked, and takes no session.
    is_passive: bool,
    /// Sessions that were asked of it meanwhile.
    passed_on: usize,
}

impl Machine {
    fn tell(&self, message: &v1::BrokerSessionResponse) {
        for (.., session) in self.sessions.values() {
            let _fenced_elsewhere_if_gone = session.try_send(Ok(message.clone()));
        }
    }

    /// What a session begins with: the changes since what the broker has, or the whole state.
    fn beginning(&mut self, first: &v1::BrokerSessionRequest) -> Vec<v1::BrokerSessionResponse> {
        let answer = v1::BrokerSessionResponse { lease_ms: LEASE_MS, wall_ms: wall_ms(), ..Default::default() };
        let known = HistoryHash::from_bytes(&first.history_hash).filter(|hash| {
            let place = (first.applied_index as usize).wrapping_sub(1);
            self.changes.get(place).is_some_and(|(history, _)| *history == Some(*hash))
        });
        if known.is_some() {
            let deltas =
                self.changes[first.applied_index as usize..].iter().map(|(_, change)| change.clone()).collect();
            return vec![v1::BrokerSessionResponse { deltas, ..v1::BrokerSessionResponse::default() }, answer];
        }
        self.snapshots_sent += 1;
        vec![v1::BrokerSessionResponse { snapshot: stream::snapshot(&self.image), ..answer }]
    }
}

impl FakeController {
    /// Forms a cluster with the newest metadata version, and serves on a free port.
    pub(crate) async fn start() -> Self {
        let controller = Self::start_unfinalised().await;
        controller.finalise();
        controller
    }

    /// As [`Self::start`], with the first metadata version.
    pub(crate) async fn start_unfinalised() -> Self {
        let controller = Self::start_empty().await;
        controller.run(&Command::FormCluster { cluster_id: controller.cluster_id }).unwrap();
        controller
    }

    /// As [`Self::start`], of no cluster yet, as with an empty folder.
    pub(crate) async fn start_empty() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let cluster_id = ClusterId(uuid::Uuid::new_v4());
        let router = Server::builder()
            .add_service(ControllerServiceServer::new(Edge(Arc::clone(&state))))
            .add_service(AdminServiceServer::new(Edge(Arc::clone(&state))));
        let server = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, cluster_id, state, server }
    }

    /// Finalises the newest metadata version.
    pub(crate) fn finalise(&self) {
        let controllers = vec![ControllerVersions { controller_id: ControllerId(1), versions: Some(SUPPORTED) }];
        self.run(&Command::FinalizeVersion(FinalizeVersion { version: SUPPORTED.max, controllers })).unwrap();
    }

    /// A copy of the state.
    pub(crate) fn image(&self) -> Image {
        self.state.machine.lock().image.clone()
    }

    pub(crate) fn break_sessions(&self) {
        for (_, (.., session)) in self.state.machine.lock().sessions.drain() {
            let _ = session.try_send(Err(Status::unavailable("the connection broke")));
        }
    }

    /// How many sessions began, and how many of them with the whole state.
    pub(crate) fn sessions_begun(&self) -> (u64, usize) {
        let machine = self.state.machine.lock();
        (machine.begun, machine.snapshots_sent)
    }

    /// From now on brokers hear of no change.
    pub(crate) fn hold_changes(&self) {
        self.state.machine.lock().held = Some(Vec::new());
    }

    /// They hear of what was held back, and of all that follows.
    pub(crate) fn release_changes(&self) {
        let mut machine = self.state.machine.lock();
        for message in machine.held.take().unwrap_or_default() {
            machine.tell(&message);
        }
    }

    /// What a plan of moves will be answered with.
    pub(crate) fn set_plan(&self, plan: Vec<v1::ReplicaMove>) {
        self.state.machine.lock().plan = plan;
    }

    /// Another controller of the same cluster, which knows as much and is not active.
    pub(crate) async fn beside(&self) -> Self {
        let mut other = Self::start_unfinalised().await;
        other.cluster_id = self.cluster_id;
        let mut machine = other.state.machine.lock();
        (machine.image, machine.is_passive) = (self.image(), true);
        drop(machine);
        other
    }

    /// It knows what it knew when `image` was copied, as if its folder had been restored; sessions end.
    pub(crate) fn go_back_to(&self, image: Image) {
        self.state.machine.lock().image = image;
        self.break_sessions();
    }

    /// How many sessions were asked of it while it was not active.
    pub(crate) fn sessions_passed_on(&self) -> usize {
        self.state.machine.lock().passed_on
    }

    /// Carries out a command.
    pub(crate) fn run(&self, command: &Command) -> Result<Decided, Rejection> {
        self.state.run(command)
    }

    /// Creates a topic with these settings, key and value. Panics if the machine refuses.
    pub(crate) fn create_topic(&self, name: &str, partitions: u32, replicas: u32, configs: &[(&str, &str)]) -> TopicId {
        let topic_id = TopicId(uuid::Uuid::new_v4());
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.run(&Command::CreateTopic(CreateTopic {
            name: name.to_owned(),
            topic_id,
            partition_count: partitions,
            replication_factor: replicas,
            configs,
        }))
        .unwrap();
        topic_id
    }
}

impl State {
    pub(crate) fn run(&self, command: &Command) -> Result<Decided, Rejection> {
        let mut machine = self.machine.lock();
        let index = MetadataIndex(machine.image.index().0 + 1);
        let outcome = apply_command(&mut machine.image, index, command);
        let history = machine.image.history();
        let delta = stream::delta(index, &outcome.records, history);
        machine.changes.push((history, delta.clone()));
        let deltas = vec![delta];
        let message = v1::BrokerSessionResponse { deltas, lease_ms: LEASE_MS, ..v1::BrokerSessionResponse::default() };
        match &mut machine.held {
            Some(held) => held.push(message),
            None => machine.tell(&message),
        }
        outcome.result
    }

    /// A newer start registered under this id: the session of the older one ends.
    fn end_older_session(&self, broker_id: BrokerId, broker_epoch: BrokerEpoch) {
        let mut machine = self.machine.lock();
        if machine.sessions.get(&broker_id).is_some_and(|(older, ..)| *older != broker_epoch)
            && let Some((.., session)) = machine.sessions.remove(&broker_id)
        {
            let _ = session.try_send(Err(ErrorDetail::from(ErrorCode::StaleBrokerEpoch).into()));
        }
    }

    pub(crate) fn index(&self) -> u64 {
        self.machine.lock().image.index().0
    }
}

pub(crate) struct Edge(pub(crate) Arc<State>);

pub(crate) fn refused(rejection: Rejection) -> Status {
    ErrorDetail::new(rejection.code, rejection.message).into()
}

#[tonic::async_trait]
impl ControllerService for Edge {
    type BrokerSessionStream = BoxStream<'static, Result<v1::BrokerSessionResponse, Status>>;

    async fn register_broker(
        &self,
        request: Request<v1::RegisterBrokerRequest>,
    ) -> Result<Response<v1::RegisterBrokerResponse>, Status> {
        let request = request.into_inner();
        let folder = registration::shown_folder(&request).map_err(ErrorDetail::from)?;
        let proves = self.0.machine.lock().image.version() >= TRUST;
        let command = Command::RegisterBroker(RegisterBroker {
            broker_id: BrokerId(request.broker_id),
            incarnation_id: required_id(&request.incarnation_id, "incarnation_id")?,
            directory_id: required_id(&request.directory_id, "directory_id")?,
            boot_counter: request.boot_counter,
            client_address: request.client_address,
            peer_address: request.peer_address,
            rack: Some(request.rack).filter(|rack| !rack.is_empty()),
            versions: VersionRange::from_numbers(request.min_metadata_version, request.max_metadata_version),
            old_session_alive: false,
            replaces: request.replaces_broker_epoch.filter(|_| proves).map(BrokerEpoch),
            folder: folder.filter(|_| proves),
        });
        match self.0.run(&command).map_err(refused)? {
            Decided::BrokerRegistered { broker_epoch } => {
                self.0.end_older_session(BrokerId(request.broker_id), broker_epoch);
                Ok(Response::new(v1::RegisterBrokerResponse {
                    broker_epoch: broker_epoch.0,
                    index: self.0.index(),
                    other_folder: false,
                    metadata_went_back: false,
                }))
            }
            other => panic!("{other:?} to a registration"),
        }
    }

    async fn broker_session(
        &self,
        request: Request<Streaming<v1::BrokerSessionRequest>>,
    ) -> Result<Response<Self::BrokerSessionStream>, Status> {
        let mut heartbeats = request.into_inner();
        let first = heartbeats.message().await?.expect("a session begins with a heartbeat");
        let (broker_id, broker_epoch) = (BrokerId(first.broker_id), BrokerEpoch(first.broker_epoch));
        let (session, messages) = mpsc::channel(10_000);
        let number = {
            let mut machine = self.0.machine.lock();
            if machine.is_passive {
                machine.passed_on += 1;
                return Err(ErrorDetail::from(ErrorCode::NotController).into());
            }
            if machine.image.broker(broker_id).is_none_or(|known| known.broker_epoch != broker_epoch) {
                return Err(ErrorDetail::from(ErrorCode::StaleBrokerEpoch).into());
            }
            for message in machine.beginning(&first) {
                session.try_send(Ok(message)).unwrap();
            }
            machine.begun += 1;
            let number = machine.begun;
            machine.sessions.insert(broker_id, (broker_epoch, number, session.clone()));
            number
        };
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(heartbeat)) = heartbeats.message().await {
                if let Some(token) = FolderToken::from_bytes(&heartbeat.next_token) {
                    let _ = state.run(&Command::RenewFolderToken { broker_id, broker_epoch, token });
                }
                if heartbeat.ready {
                    let fenced = state.machine.lock().image.broker(broker_id).is_some_and(|broker| broker.fenced);
                    if fenced {
                        let _ = state.run(&Command::UnfenceBroker { broker_id, broker_epoch });
                    }
                }
                let answer = v1::BrokerSessionResponse { lease_ms: LEASE_MS, wall_ms: wall_ms(), ..Default::default() };
                let _ = session.try_send(Ok(answer));
            }
            state.machine.lock().sessions.retain(|_, (_, open, _)| *open != number);
            let _ = state.run(&Command::FenceBroker { broker_id, broker_epoch });
        });
        Ok(Response::new(ReceiverStream::new(messages).boxed()))
    }

    async fn alter_partitions(
        &self,
        request: Request<v1::AlterPartitionsRequest>,
    ) -> Result<Response<v1::AlterPartitionsResponse>, Status> {
        let request = request.into_inner();
        let member = |member: v1::IsrMember| IsrMember {
            broker_id: BrokerId(member.broker_id),
            broker_epoch: BrokerEpoch(member.broker_epoch),
        };
        let changes = request.changes.into_iter().map(|change| {
            Ok(IsrChange {
                topic_id: required_id(&change.topic_id, "topic_id")?,
                partition: PartitionIndex(change.partition),
                leader_epoch: LeaderEpoch(change.leader_epoch),
                partition_epoch: PartitionEpoch(change.partition_epoch),
                new_isr: change.new_isr.into_iter().map(member).collect(),
                high_watermark: change.high_watermark.map(Offset),
                high_watermark_epoch: change.high_watermark_epoch.map(LeaderEpoch),
            })
        });
        let command = Command::AlterPartition(AlterPartition {
            broker_id: BrokerId(request.broker_id),
            broker_epoch: BrokerEpoch(request.broker_epoch),
            changes: changes.collect::<Result<_, Status>>()?,
        });
        let Decided::PartitionsAltered { results } = self.0.run(&command).map_err(refused)? else {
            panic!("another answer to AlterPartition");
        };
        let results = results.into_iter().map(|result| match result {
            Ok(state) => v1::IsrChangeResult { state: Some(records::state_to_message(&state)), error: None },
            Err(rejection) => v1::IsrChangeResult {
                state: None,
                error: Some(partition_error(ErrorDetail::new(rejection.code, rejection.message))),
            },
        });
        Ok(Response::new(v1::AlterPartitionsResponse { results: results.collect() }))
    }

    async fn distrust_replicas(
        &self,
        request: Request<v1::DistrustReplicasRequest>,
    ) -> Result<Response<v1::DistrustReplicasResponse>, Status> {
        let request = request.into_inner();
        let replicas = registration::untrusted_from_messages(request.replicas).map_err(ErrorDetail::from)?;
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        let command = Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch, replicas });
        self.0.run(&command).map_err(refused)?;
        Ok(Response::new(v1::DistrustReplicasResponse { index: self.0.index() }))
    }

    async fn allocate_producer_ids(
        &self,
        request: Request<v1::AllocateProducerIdsRequest>,
    ) -> Result<Response<v1::AllocateProducerIdsResponse>, Status> {
        let request = request.into_inner();
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        match self.0.run(&Command::AllocateProducerIds { broker_id, broker_epoch }).map_err(refused)? {
            Decided::ProducerIds { first_producer_id, count } => {
                Ok(Response::new(v1::AllocateProducerIdsResponse { first_producer_id: first_producer_id.0, count }))
            }
            other => panic!("{other:?} to an allocation"),
        }
    }

    async fn controlled_shutdown(
        &self,
        request: Request<v1::ControlledShutdownRequest>,
    ) -> Result<Response<v1::ControlledShutdownResponse>, Status> {
        let request = request.into_inner();
        let (broker_id, broker_epoch) = (BrokerId(request.broker_id), BrokerEpoch(request.broker_epoch));
        let command = if request.stopped {
            Command::FenceBroker { broker_id, broker_epoch }
        } else {
            Command::BeginControlledShutdown { broker_id, broker_epoch }
        };
        let remaining_leaders = match self.0.run(&command).map_err(refused)? {
            Decided::ControlledShutdown { remaining_leaders } => remaining_leaders,
            _ => 0,
        };
        Ok(Response::new(v1::ControlledShutdownResponse { remaining_leaders, index: self.0.index() }))
    }
}

fn wall_ms() -> u64 {
    holdfast_log::wall_clock().0.unsigned_abs()
}
