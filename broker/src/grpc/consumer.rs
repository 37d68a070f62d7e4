//! `ConsumerService`: batches on a stream, plain records, offsets.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use holdfast_node::incoming::{self, ConnectionInfo};
use holdfast_proto::{
    convert::{self, optional_id, partition_error},
    detail::ErrorDetail,
    error::ErrorCode,
    limits::MAX_FETCH_WAIT_MS,
    status::named,
    v1::{self, consumer_service_server::ConsumerService},
};

use super::{
    answer_room::answer_room,
    caller::{caller, hop},
    offsets,
    unsent::Unsent,
};
use crate::{
    here::context::Context,
    partition::{answer_memory::AnswerRoom, answer_reader::Reader},
    services::{
        all::Services,
        caller::Caller,
        fetched::{FetchCommand, FetchTarget, Fetched, FetchedAnswer},
        lookup::Named,
        plain_fetched::{PlainFetch, PlainFetched},
    },
};

/// Bytes of the result of a look-up beside its topic's name, with an error's text.
const RESULT_BYTES: usize = 512;

/// The gRPC side of fetching and of looking up offsets.
pub(super) struct ConsumerEdge {
    context: Arc<Context>,
    services: Arc<Services>,
}

impl ConsumerEdge {
    pub(super) fn new(context: Arc<Context>, services: Arc<Services>) -> Self {
        Self { context, services }
    }
}

/// How long a fetch may wait, at most `longest`. What no broker allows is refused.
fn wait(max_wait_ms: u32, longest: Duration) -> Result<Duration, ErrorDetail> {
    if max_wait_ms > MAX_FETCH_WAIT_MS {
        let message =
            format!("max_wait_ms is {max_wait_ms}; at most {MAX_FETCH_WAIT_MS} is allowed: fetch again instead");
        return Err(ErrorDetail::new(ErrorCode::InvalidRequest, message));
    }
    Ok(Duration::from_millis(max_wait_ms.into()).min(longest))
}

#[tonic::async_trait]
impl ConsumerService for ConsumerEdge {
    type FetchStream = futures::stream::BoxStream<'static, Result<v1::FetchResponse, Status>>;

    async fn fetch(
        &self,
        request: Request<Streaming<v1::FetchRequest>>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let (services, most) = (Arc::clone(&self.services), self.context.config.fetches_per_stream as usize);
        let place = self.context.streams.open(ConnectionInfo::source(&request))?;
        let unsent = Unsent::of(self.context.logs.consumers.memory.stream(ConnectionInfo::closer(&request)));
        let caller = Arc::new(caller(&request));
        let longest = Duration::from_millis(self.context.config.fetch_max_wait_ms);
        let reader = unsent.reader();
        let context = Arc::clone(&self.context);
        let ended = Box::pin(async move { context.state.streams_ended().await });
        let end = ConnectionInfo::streams_end(&request);
        // At the connection's age no request is taken any more, and none waits longer: what was taken is answered.
        let aged = Box::pin(incoming::until(end));
        let left = move || end.map_or(longest, |end| end.saturating_duration_since(Instant::now()).min(longest));
        // The stream of answers pulls the requests: a client that does not read is not read from.
        let answers = request
            .into_inner()
            .take_until(aged)
            // What follows one that cannot be read is no request: its bytes may begin anywhere.
            .scan(false, |broken, request| {
                let follows = std::mem::replace(broken, request.is_err());
                future::ready((!follows).then_some(request))
            })
            .map(move |request| {
                let (services, caller, left) = (Arc::clone(&services), Arc::clone(&caller), left());
                let reader = reader.clone();
                // A task of its own: this stream stands still while its client takes nothing, and a fetch that stood still
                // with it would keep its turn in the queues for the disk and for memory, where all others wait behind it.
                let fetch = AbortOnDropHandle::new(tokio::spawn(async move {
                    let request = request.map_err(|status| named(&status).unwrap_or(status))?;
                    answer(&services, &caller, request, left, reader).await
                }));
                async { fetch.await.unwrap_or_else(|_| Err(ErrorDetail::from(ErrorCode::ShuttingDown).into())) }
            })
            .buffer_unordered(most)
            .take_until(ended);
        let held = unsent.clone();
        let answers = answers.map(move |answer| {
            let _open = &place;
            answer.map(|(message, room)| {
                held.hold(room);
                message
            })
        });
        Ok(unsent.response(answers.boxed()))
    }

    async fn fetch_records(
        &self,
        request: Request<v1::FetchRecordsRequest>,
    ) -> Result<Response<v1::FetchRecordsResponse>, Status> {
        let (caller, hop) = (caller(&request), hop(&request));
        let closer = ConnectionInfo::closer(&request);
        let unsent = Unsent::of(self.context.logs.consumers.memory.call(closer));
        let request = request.into_inner();
        let from = convert::offset(request.fetch_offset, "fetch_offset")?;
        let partition = convert::partition(request.partition, "partition")?;
        let target = FetchTarget {
            topic: convert::topic_name(request.topic)?,
            topic_id: optional_id(&request.topic_id, "topic_id")?,
            partition,
            fetch_offset: from,
            leader_epoch: None,
            max_bytes: request.max_bytes,
        };
        let call = PlainFetch {
            target: target.clone(),
            max_wait: wait(request.max_wait_ms, Duration::from_millis(self.context.config.fetch_max_wait_ms))?,
            max_records: request.max_records,
            max_bytes: request.max_bytes,
            reader: unsent.reader(),
        };
        let PlainFetched { records, ends, room } = self.services.plain_fetch.fetch(&caller, call, hop).await?;
        let named = Named { topic: &target.topic, topic_id: target.topic_id, partition };
        let ends = ends.map_or_else(|| self.services.offsets.ends(&caller, &named), Ok)?;
        unsent.hold(room);
        Ok(unsent.response(v1::FetchRecordsResponse {
            records: records.into_iter().map(Into::into).collect(),
            high_watermark: ends.high_watermark.0,
            log_start_offset: ends.log_start_offset.0,
        }))
    }

    async fn list_offsets(
        &self,
        request: Request<v1::ListOffsetsRequest>,
    ) -> Result<Response<v1::ListOffsetsResponse>, Status> {
        let (caller, hop) = (caller(&request), hop(&request));
        let memory = &self.context.metadata_answers;
        let unsent = Unsent::of(memory.call(ConnectionInfo::closer(&request)));
        let queries = request.into_inner().queries;
        let mut bytes = 0;
        for query in &queries {
            convert::check_topic_name(&query.topic)?;
            bytes += query.topic.len() + RESULT_BYTES;
        }
        // It may look for long: until then it holds nothing that others need for what is there at once.
        let _parked = self.context.fetching.park(caller.source, 2 * bytes)?;
        let results = offsets::found(&self.services.offsets, &caller, &queries, hop).await;
        unsent.hold(answer_room(memory, unsent.reader().as_deref(), bytes).await?);
        // Another broker is told of each: it has others to add.
        if let (false, Some(detail)) = (hop.forwarded, offsets::all_failed(&results)) {
            return Err(detail.into());
        }
        let results = queries.into_iter().zip(results).map(|(query, result)| offsets::message(query, result)).collect();
        Ok(unsent.response(v1::ListOffsetsResponse { results }))
    }
}

async fn answer(
    services: &Services,
    caller: &Caller,
    request: v1::FetchRequest,
    longest: Duration,
    reader: Option<Arc<Reader>>,
) -> Result<(v1::FetchResponse, Option<AnswerRoom>), Status> {
    let command = FetchCommand {
        targets: request.partitions.into_iter().map(target).collect::<Result<_, convert::Error>>()?,
        max_wait: wait(request.max_wait_ms, longest)?,
        min_bytes: request.min_bytes as usize,
        max_bytes: request.max_bytes,
        spare_bytes: 0,
        reader,
    };
    let FetchedAnswer { fetched, room, .. } = services.fetch.fetch(caller, &command).await;
    let partitions = fetched.into_iter().filter_map(|fetched| message(&command, fetched)).collect();
    Ok((v1::FetchResponse { correlation_id: request.correlation_id, partitions }, room))
}

fn target(message: v1::FetchPartition) -> Result<FetchTarget, convert::Error> {
    Ok(FetchTarget {
        topic_id: optional_id(&message.topic_id, "topic_id")?,
        partition: convert::partition(message.partition, "partition")?,
        fetch_offset: convert::offset(message.fetch_offset, "fetch_offset")?,
        leader_epoch: message.leader_epoch.map(|epoch| convert::leader_epoch(epoch, "leader_epoch")).transpose()?,
        max_bytes: message.max_bytes,
        topic: convert::topic_name(message.topic)?,
    })
}

fn message(command: &FetchCommand, fetched: Fetched) -> Option<v1::FetchedPartition> {
    let target = command.targets.get(fetched.target)?;
    let mut message =
        v1::FetchedPartition { topic: target.topic.clone(), partition: target.partition.0, ..Default::default() };
    if let Some(ends) = fetched.ends {
        message.high_watermark = ends.high_watermark.0;
        message.log_start_offset = ends.log_start_offset.0;
    }
    match fetched.result {
        Ok(records) => {
            message.leader_epoch = records.leader_epoch.0;
            message.batches = records.joined();
        }
        Err(detail) => message.error = Some(partition_error(detail)),
    }
    Some(message)
}
