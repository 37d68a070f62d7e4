//! `ProducerService`: batches on a stream, plain records, producer ids.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures::{StreamExt, future};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status, Streaming};

use holdfast_node::incoming::{self, ConnectionInfo};
use holdfast_proto::{
    batch::Header,
    convert::{self, optional_id, produce_error},
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{PartitionIndex, TimestampMs},
    status::{from_status, named},
    v1::{self, producer_service_server::ProducerService},
};
use holdfast_replication::Acks;

use super::{
    caller::{caller, hop},
    unsent::Unsent,
};
use crate::{
    here::{
        context::Context,
        shares::{Share, units},
    },
    services::{
        all::Services,
        caller::Caller,
        lookup::Named,
        ordered::{Answers, Ordered},
        plain_records::{self, PlainProduce, PlainRecord},
        produce::{ProduceAnswer, ProduceCommand},
    },
};

/// The gRPC side of producing and of producer ids.
pub(super) struct ProducerEdge {
    context: Arc<Context>,
    services: Arc<Services>,
}

/// Answers of one stream, by hash of topic and index of partition. A collision only orders what need not be. Each holds
/// until it has left the socket: a client that does not read its answers is not read from.
type Replies = Ordered<(u64, u32), (v1::ProduceResponse, Held)>;

/// What an answer holds: a permit of its stream, and one of the whole broker unless it waited for that in vain.
type Held = (OwnedSemaphorePermit, Option<Share>);

impl ProducerEdge {
    pub(super) fn new(context: Arc<Context>, services: Arc<Services>) -> Self {
        Self { context, services }
    }
}

#[tonic::async_trait]
impl ProducerService for ProducerEdge {
    type ProduceStream = futures::stream::BoxStream<'static, Result<v1::ProduceResponse, Status>>;

    async fn produce(
        &self,
        request: Request<Streaming<v1::ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        let place = self.context.streams.open(ConnectionInfo::source(&request))?;
        let (replies, refusal) = (Replies::new(), Arc::new(OnceLock::new()));
        let budget =
            self.services.produce.budget.of_stream(self.context.config.max_in_flight_bytes_per_stream as usize);
        let stream = ProduceStream {
            services: Arc::clone(&self.services),
            caller: caller(&request),
            replies: Arc::clone(&replies),
            budget: Arc::new(Semaphore::new(budget as usize)),
            hasher: RandomState::new(),
            refusal: Arc::clone(&refusal),
        };
        let end = ConnectionInfo::streams_end(&request);
        let unsent = Unsent::of(self.services.produce.budget.producer(ConnectionInfo::closer(&request)));
        tokio::spawn(stream.run(Arc::clone(&self.context), request.into_inner(), end));
        let held = unsent.clone();
        // As long as answers may come: the client may have ended its half long ago.
        let answers = Answers(replies).map(move |(answer, rooms)| {
            let _open = &place;
            held.hold(rooms);
            Ok(answer)
        });
        // Behind the last answer, what ended the stream.
        let refusal = futures::stream::once(async move { refusal.get().cloned().map(Err) }).filter_map(future::ready);
        Ok(unsent.response(answers.chain(refusal).boxed()))
    }

    async fn produce_records(
        &self,
        request: Request<v1::ProduceRecordsRequest>,
    ) -> Result<Response<v1::ProduceRecordsResponse>, Status> {
        let (caller, hop) = (caller(&request), hop(&request));
        let budget = &self.services.produce.budget;
        let unsent = Unsent::of(budget.producer(ConnectionInfo::closer(&request)));
        let call = plain_call(request.into_inner(), hop.forwarded)?;
        // Twice: the records, and what is made of them, batches or calls to other brokers.
        let bytes = 2 * call.records.iter().map(PlainRecord::bytes).sum::<usize>();
        let mut room = budget.try_call(caller.source, bytes).ok_or(ErrorCode::Overloaded)?;
        let results = self.services.plain.produce(&caller, call).await?;
        // Another broker is told of each record: it has others to add.
        if let (false, Some(detail)) = (hop.forwarded, plain_records::all_failed(&results)) {
            return Err(detail.into());
        }
        let results = results.into_iter().map(|(PartitionIndex(partition), result)| match result {
            Ok(offset) => v1::PlainRecordResult { partition, offset: Some(offset.0), error: None },
            Err(detail) => v1::PlainRecordResult { partition, offset: None, error: Some(produce_error(detail)) },
        });
        let mut answer = v1::ProduceRecordsResponse { results: results.collect() };
        // The records are done with. The room of the call is that of its answer, until this has left the socket.
        let answer_bytes = answer.encoded_len();
        let (wanted, held) = (units(answer_bytes), room.units());
        drop(held.checked_sub(wanted).and_then(|rest| room.split(rest)));
        unsent.hold(room);
        if wanted > held {
            match budget.try_call(caller.source, answer_bytes.saturating_sub(bytes)) {
                Some(room) => unsent.hold(room),
                // What each error is stays; its text goes.
                None => answer.results.iter_mut().filter_map(|one| one.error.as_mut()).for_each(|error| {
                    error.message = String::new();
                }),
            }
        }
        Ok(unsent.response(answer))
    }

    async fn init_producer_id(
        &self,
        request: Request<v1::InitProducerIdRequest>,
    ) -> Result<Response<v1::InitProducerIdResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let held = match (request.producer_id, request.producer_epoch) {
            (None, None) => None,
            (id, epoch) => Some((
                convert::producer_id(convert::required(id, "producer_id")?, "producer_id")?,
                convert::producer_epoch(convert::required(epoch, "producer_epoch")?, "producer_epoch")?,
            )),
        };
        let (id, epoch) = self.services.producer_ids.init(&caller, held).await?;
        Ok(Response::new(v1::InitProducerIdResponse { producer_id: id.0, producer_epoch: epoch.0 as u32 }))
    }
}

/// The incoming half of one produce stream.
struct ProduceStream {
    services: Arc<Services>,
    caller: Caller,
    replies: Arc<Replies>,
    /// Bytes of this stream that may be in work. Past it nothing more is read: the client's window fills.
    budget: Arc<Semaphore>,
    hasher: RandomState,
    /// Why no request can be read any more, if it is the request's fault.
    refusal: Arc<OnceLock<Status>>,
}

impl ProduceStream {
    /// Takes requests until the client, the broker or the connection's age ends the stream. What was taken is answered
    /// before the answers end; what was not read was not appended, and the client sends it again.
    async fn run(
        self,
        context: Arc<Context>,
        mut requests: Streaming<v1::ProduceRequest>,
        end: Option<tokio::time::Instant>,
    ) {
        let mut ended = std::pin::pin!(context.state.streams_ended());
        let mut aged = std::pin::pin!(incoming::until(end));
        loop {
            let request = tokio::select! {
                request = requests.message() => request,
                () = &mut ended => break,
                () = &mut aged => break,
            };
            match request {
                Ok(Some(request)) => self.take(request).await,
                Ok(None) => break,
                Err(status) => {
                    tracing::debug!(%status, "a producer's stream broke");
                    let ours = || from_status(&status).is_some().then(|| status.clone());
                    if let Some(refusal) = named(&status).or_else(ours) {
                        let _ = self.refusal.set(refusal);
                    }
                    break;
                }
            }
        }
        self.replies.finish();
    }

    async fn take(&self, mut request: v1::ProduceRequest) {
        // First: a batch that nobody counts must not wait.
        let rooms = self.services.produce.budget.try_batch(self.caller.source, request.batch.len());
        if rooms.is_none() {
            request.batch = Bytes::new();
        }
        let Ok(mut permit) = Arc::clone(&self.budget).acquire_many_owned(units(request.batch.len())).await else {
            return;
        };
        let (batch_room, room) = match rooms {
            Some((batch, answer)) => (Some(batch), Some(answer)),
            None => (None, self.services.produce.budget.answer(self.caller.source).await),
        };
        let lane = (self.hasher.hash_one(&request.topic), request.partition);
        let correlation_id = request.correlation_id;
        let acks = convert::acks(request.acks);
        // acks=0 is never answered, not even with a refusal.
        let ticket = (acks != Ok(v1::Acks::None)).then(|| self.replies.ask(lane));
        let replies = Arc::clone(&self.replies);
        let answer = move |answer: ProduceAnswer| {
            // The batch is done with; the answer takes up little.
            drop(permit.split(permit.num_permits() - 1));
            if let Some(ticket) = ticket {
                replies.answer(&ticket, (response(correlation_id, answer), (permit, room)));
            }
        };
        let Some(batch_room) = batch_room else {
            return answer(Err(ErrorCode::Overloaded.into()));
        };
        match command(&request) {
            Ok(command) => self.services.produce.produce(&self.caller, command, batch_room, answer).await,
            Err(detail) => answer(Err(detail)),
        }
    }
}

fn response(correlation_id: u64, answer: ProduceAnswer) -> v1::ProduceResponse {
    match answer {
        Ok(produced) => v1::ProduceResponse {
            correlation_id,
            base_offset: produced.base_offset.0,
            log_start_offset: produced.log_start_offset.0,
            leader_epoch: produced.leader_epoch.0,
            error: None,
        },
        Err(detail) => v1::ProduceResponse { correlation_id, error: Some(produce_error(detail)), ..Default::default() },
    }
}

fn command(request: &v1::ProduceRequest) -> Result<ProduceCommand<'_>, ErrorDetail> {
    let not_appended = |error: convert::Error| ErrorDetail::from(error).with_outcome(Outcome::NotAppended);
    let leader_epoch = request.leader_epoch.map(|epoch| convert::leader_epoch(epoch, "leader_epoch")).transpose();
    Ok(ProduceCommand {
        named: Named {
            topic: &request.topic,
            topic_id: optional_id(&request.topic_id, "topic_id").map_err(not_appended)?,
            partition: convert::partition(request.partition, "partition").map_err(not_appended)?,
        },
        leader_epoch: leader_epoch.map_err(not_appended)?,
        acks: acks(request.acks).map_err(not_appended)?,
        timeout_ms: request.timeout_ms,
        batch: request.batch.clone(),
    })
}

fn acks(value: i32) -> Result<Acks, convert::Error> {
    convert::acks(value).map(|acks| match acks {
        v1::Acks::None => Acks::None,
        v1::Acks::Leader => Acks::Leader,
        v1::Acks::All | v1::Acks::Unspecified => Acks::All,
    })
}

fn plain_call(request: v1::ProduceRecordsRequest, forwarded: bool) -> Result<PlainProduce, ErrorDetail> {
    let acks = acks(request.acks)?;
    if acks == Acks::None {
        return Err(ErrorDetail::new(
            ErrorCode::InvalidRequiredAcks,
            "acks=0 has no answer, so it makes no sense in a call with one; use the stream",
        ));
    }
    // Copies: the call is held until its last record is answered, and with these bytes the whole message that brought
    // them would be, however much stands in it beside its records.
    let copied = |bytes: Bytes| Bytes::copy_from_slice(&bytes);
    let records = request.records.into_iter().map(|record| PlainRecord {
        key: record.key.map(copied),
        value: record.value.map(copied),
        headers: record
            .headers
            .into_iter()
            .map(|header| Header { key: header.key, value: header.value.map(copied) })
            .collect(),
        timestamp: record.timestamp_ms.map(TimestampMs),
    });
    Ok(PlainProduce {
        topic: request.topic,
        topic_id: optional_id(&request.topic_id, "topic_id")?,
        partition: request.partition.map(|index| convert::partition(index, "partition")).transpose()?,
        records: records.collect(),
        acks,
        timeout_ms: request.timeout_ms,
        forwarded,
    })
}
