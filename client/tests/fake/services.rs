//! The gRPC services of one fake broker.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use holdfast_client::ErrorCode;
use holdfast_proto::{
    convert,
    detail::{ErrorDetail, LeaderHint},
    ids::{BrokerId, LeaderEpoch},
    status,
    v1::{self, consumer_service_server, producer_service_server},
};

use super::{FetchFault, Inner, ProduceFault, State};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the services of one broker work on: the cluster that all share, and a token that ends this broker alone.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Id of the broker that answers here.
    pub(super) id: Arc<AtomicU32>,
    pub(super) shared: Arc<Inner>,
    pub(super) killed: CancellationToken,
}

/// What comes out of a produce.
enum Produced {
    Answer(v1::ProduceResponse),
    Nothing,
    Break,
}

impl Node {
    pub(super) fn id(&self) -> u32 {
        self.id.load(Ordering::SeqCst)
    }

    pub(super) fn check_alive(&self) -> Result<(), Status> {
        if self.killed.is_cancelled() { Err(Status::unavailable("the broker is dead")) } else { Ok(()) }
    }

    fn error(state: &State, topic: &str, partition: u32, code: ErrorCode) -> ErrorDetail {
        let detail = ErrorDetail::new(code, format!("{topic}-{partition}: {}", code.sentence()));
        let known = state.topics.get(topic).and_then(|topic| topic.partitions.get(partition as usize));
        match known.and_then(|known| known.leader.map(|leader| (leader, known.leader_epoch))) {
            Some((leader, epoch)) if state.hints && code == ErrorCode::NotLeaderOrFollower => {
                detail.with_leader(LeaderHint {
                    broker_id: BrokerId(leader),
                    leader_epoch: LeaderEpoch(epoch),
                    address: state.brokers[&leader].clone(),
                })
            }
            _ => detail,
        }
    }

    fn check_leader(&self, state: &State, topic: &str, topic_id: &[u8], partition: u32) -> Result<(), ErrorCode> {
        let known = state.topics.get(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !topic_id.is_empty() && topic_id != known.id {
            return Err(ErrorCode::UnknownTopicId);
        }
        let known = known.partitions.get(partition as usize).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if known.leader == Some(self.id()) { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    fn produce_one(&self, request: &v1::ProduceRequest) -> Produced {
        self.shared.change(|state| {
            let header = holdfast_proto::batch::BatchHeader::parse(&request.batch).unwrap();
            state.produced_batches.push(header.record_count);
            let fault = state.produce_faults.pop_front().unwrap_or(ProduceFault::Serve);
            let appends = !matches!(fault, ProduceFault::Refuse(_) | ProduceFault::Lose | ProduceFault::LoseAndBreak);
            let mut result =
                self.check_leader(state, &request.topic, &request.topic_id, request.partition).and_then(|()| {
                    let max_bytes = state.max_message_bytes.unwrap_or(64 << 20);
                    let topic = state.topics.get_mut(&request.topic).unwrap();
                    let partition = &mut topic.partitions[request.partition as usize];
                    if appends {
                        partition.append(&request.batch, max_bytes).map(|base| (base, partition.leader_epoch))
                    } else {
                        Ok((0, 0))
                    }
                });
            match fault {
                ProduceFault::AppendWithoutAnswer | ProduceFault::Lose => return Produced::Nothing,
                ProduceFault::AppendAndBreak | ProduceFault::LoseAndBreak => return Produced::Break,
                ProduceFault::Refuse(code) | ProduceFault::AppendButAnswer(code) => result = Err(code),
                ProduceFault::Serve => {}
            }
            if request.acks() == v1::Acks::None {
                return Produced::Nothing;
            }
            let answer = v1::ProduceResponse { correlation_id: request.correlation_id, ..Default::default() };
            Produced::Answer(match result {
                Ok((base_offset, leader_epoch)) => v1::ProduceResponse { base_offset, leader_epoch, ..answer },
                Err(code) => {
                    let detail = Self::error(state, &request.topic, request.partition, code);
                    v1::ProduceResponse { error: Some(convert::produce_error(detail)), ..answer }
                }
            })
        })
    }

    /// The answer if there is something to say now.
    fn fetch_now(&self, request: &v1::FetchRequest) -> Option<Result<v1::FetchResponse, Status>> {
        let mut state = self.shared.state.lock();
        let mut partitions = Vec::new();
        for wanted in &request.partitions {
            let mut answer =
                v1::FetchedPartition { topic: wanted.topic.clone(), partition: wanted.partition, ..Default::default() };
            let mut error = self.check_leader(&state, &wanted.topic, &wanted.topic_id, wanted.partition).err();
            if error.is_none() {
                if state.fetch_faults.front() == Some(&FetchFault::DeleteFirstBatch) {
                    state.fetch_faults.pop_front();
                    state.topics.get_mut(&wanted.topic).unwrap().partitions[wanted.partition as usize].delete_first();
                }
                let known = &state.topics[&wanted.topic].partitions[wanted.partition as usize];
                (answer.high_watermark, answer.log_start_offset) = (known.end, known.log_start);
                answer.leader_epoch = known.leader_epoch;
                if wanted.fetch_offset < known.log_start || wanted.fetch_offset > known.end {
                    error = Some(ErrorCode::OffsetOutOfRange);
                } else if wanted.leader_epoch.is_some_and(|epoch| epoch > known.leader_epoch) {
                    error = Some(ErrorCode::UnknownLeaderEpoch);
                } else if wanted.leader_epoch.is_some_and(|epoch| epoch < known.leader_epoch) {
                    error = Some(ErrorCode::FencedLeaderEpoch);
                }
                let limit = wanted.max_bytes.min(request.max_bytes) as usize;
                let mut batches = known.read(wanted.fetch_offset, limit);
                if error.is_none() && batches.is_empty() {
                    continue;
                }
                match state.fetch_faults.pop_front().unwrap_or(FetchFault::Serve) {
                    FetchFault::Serve | FetchFault::DeleteFirstBatch => {}
                    FetchFault::SkipFirstBatch => drop(batches.remove(0)),
                    FetchFault::FlipByte => {
                        let mut damaged = BytesMut::from(&batches[0][..]);
                        let last = damaged.len() - 1;
                        damaged[last] ^= 1;
                        batches[0] = damaged.freeze();
                    }
                    FetchFault::Break => return Some(Err(Status::unavailable("the connection broke"))),
                    FetchFault::Refuse(code) => error = Some(code),
                }
                answer.batches = Bytes::from(batches.concat());
            }
            if let Some(code) = error {
                answer.batches = Bytes::new();
                answer.error =
                    Some(convert::partition_error(Self::error(&state, &wanted.topic, wanted.partition, code)));
            }
            partitions.push(answer);
        }
        let correlation_id = request.correlation_id;
        (!partitions.is_empty()).then_some(Ok(v1::FetchResponse { correlation_id, partitions }))
    }

    async fn fetch_one(&self, request: v1::FetchRequest) -> Result<v1::FetchResponse, Status> {
        let waiting = async {
            loop {
                let appended = self.shared.appended.notified();
                if let Some(answer) = self.fetch_now(&request) {
                    return answer;
                }
                appended.await;
            }
        };
        let empty = v1::FetchResponse { correlation_id: request.correlation_id, partitions: Vec::new() };
        let max_wait = Duration::from_millis(request.max_wait_ms.into());
        tokio::time::timeout(max_wait, waiting).await.unwrap_or(Ok(empty))
    }
}

#[tonic::async_trait]
impl producer_service_server::ProducerService for Node {
    type ProduceStream = Answers<v1::ProduceResponse>;

    async fn produce(
        &self,
        request: Request<Streaming<v1::ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        self.check_alive()?;
        let mut requests = request.into_inner();
        let (answers, out) = mpsc::channel(1_000);
        let node = self.clone();
        tokio::spawn(async move {
            let mut gate = node.shared.produce_gate.subscribe();
            let serve = async {
                while let Ok(Some(request)) = requests.message().await {
                    if gate.wait_for(|open| *open).await.is_err() {
                        return;
                    }
                    let produced = node.produce_one(&request);
                    node.shared.appended.notify_waiters();
                    match produced {
                        Produced::Nothing => {}
                        Produced::Answer(answer) => drop(answers.send(Ok(answer)).await),
                        Produced::Break => {
                            drop(answers.send(Err(Status::unavailable("the connection broke"))).await);
                            return;
                        }
                    }
                }
            };
            if node.killed.run_until_cancelled(serve).await.is_none() {
                let _ = answers.send(Err(Status::unavailable("the broker died"))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(out))))
    }

    async fn produce_records(
        &self,
        _: Request<v1::ProduceRecordsRequest>,
    ) -> Result<Response<v1::ProduceRecordsResponse>, Status> {
        Err(status::status(ErrorCode::InvalidRequest, "not part of the fake"))
    }

    async fn init_producer_id(
        &self,
        request: Request<v1::InitProducerIdRequest>,
    ) -> Result<Response<v1::InitProducerIdResponse>, Status> {
        self.check_alive()?;
        let request = request.into_inner();
        let answer = self.shared.change(|state| {
            state.init_calls += 1;
            let (producer_id, producer_epoch) = match (request.producer_id, request.producer_epoch) {
                (Some(id), Some(epoch)) if state.epochs.get(&id) == Some(&epoch) => (id, epoch + 1),
                (Some(_), _) => return Err(status::status(ErrorCode::InvalidProducerEpoch, "an old epoch")),
                (None, _) => {
                    state.next_producer_id += 1;
                    (state.next_producer_id, 0)
                }
            };
            state.epochs.insert(producer_id, producer_epoch);
            Ok(v1::InitProducerIdResponse { producer_id, producer_epoch })
        })?;
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl consumer_service_server::ConsumerService for Node {
    type FetchStream = Answers<v1::FetchResponse>;

    async fn fetch(
        &self,
        request: Request<Streaming<v1::FetchRequest>>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        self.check_alive()?;
        let mut requests = request.into_inner();
        let (answers, out) = mpsc::channel(1_000);
        let node = self.clone();
        tokio::spawn(async move {
            let serve = async {
                while let Ok(Some(request)) = requests.message().await {
                    node.shared.change(|state| state.fetch_requests += 1);
                    let (node, answers) = (node.clone(), answers.clone());
                    tokio::spawn(async move {
                        let answer = node.fetch_one(request).await;
                        let _ = answers.send(answer).await;
                    });
                }
            };
            if node.killed.run_until_cancelled(serve).await.is_none() {
                let _ = answers.send(Err(Status::unavailable("the broker died"))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(out))))
    }

    async fn fetch_records(
        &self,
        _: Request<v1::FetchRecordsRequest>,
    ) -> Result<Response<v1::FetchRecordsResponse>, Status> {
        Err(status::status(ErrorCode::InvalidRequest, "not part of the fake"))
    }

    async fn list_offsets(
        &self,
        request: Request<v1::ListOffsetsRequest>,
    ) -> Result<Response<v1::ListOffsetsResponse>, Status> {
        use v1::offset_query::Position;
        self.check_alive()?;
        let state = self.shared.state.lock();
        let results = request.into_inner().queries.into_iter().map(|query| {
            let result =
                v1::OffsetResult { topic: query.topic.clone(), partition: query.partition, ..Default::default() };
            let led = self.check_leader(&state, &query.topic, &[], query.partition);
            let is_damaged = || state.topics[&query.topic].partitions[query.partition as usize].damaged;
            if let Err(code) = led.and_then(|()| if is_damaged() { Err(ErrorCode::LogDamaged) } else { Ok(()) }) {
                let detail = Self::error(&state, &query.topic, query.partition, code);
                return v1::OffsetResult { error: Some(convert::partition_error(detail)), ..result };
            }
            let known = &state.topics[&query.topic].partitions[query.partition as usize];
            if known.end_is_unknown && matches!(query.position, Some(Position::Latest(_))) {
                let detail = Self::error(&state, &query.topic, query.partition, ErrorCode::OffsetNotAvailable);
                return v1::OffsetResult { error: Some(convert::partition_error(detail)), ..result };
            }
            let found = match query.position.unwrap() {
                Position::Earliest(_) => Some((known.log_start, None)),
                Position::Latest(_) => Some((known.end, None)),
                Position::TimestampMs(time) => known.find(time).map(|(offset, time)| (offset, Some(time))),
            };
            v1::OffsetResult {
                offset: found.map(|(offset, _)| offset),
                timestamp_ms: found.and_then(|(_, time)| time),
                leader_epoch: known.leader_epoch,
                ..result
            }
        });
        Ok(Response::new(v1::ListOffsetsResponse { results: results.collect() }))
    }
}
