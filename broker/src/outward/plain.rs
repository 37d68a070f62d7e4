//! Single calls of clients, sent on to the broker that leads the partition: plain records, both ways, and offsets.

use std::time::Duration;

use futures::{FutureExt, TryFutureExt};
use tonic::{Code, metadata::MetadataValue, transport::Channel};

use holdfast_proto::{
    batch::Record,
    convert,
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    forward,
    ids::{Offset, PartitionIndex, TimestampMs, TopicId},
    limits::MAX_MESSAGE_BYTES,
    status::{Origin, classify, from_status},
    v1::{
        self, consumer_service_client::ConsumerServiceClient, offset_query::Position as WirePosition,
        producer_service_client::ProducerServiceClient,
    },
};
use holdfast_replication::Acks;

use super::channels::{Peers, Purpose};
use crate::services::{
    found_offsets::{Ends, FoundOffset, Lookup, Position},
    other_nodes::{OtherBrokers, RemoteAnswer},
    plain_fetched::{PlainFetch, PlainFetched},
    plain_records::{PlainProduce, PlainResult},
};

/// Bytes of an answer with plain records that is passed on: twice what is asked for. It is here before it has room, so a
/// single record that is larger is the leader's to give.
const MAX_PASSED_ON_BYTES: usize = 4 << 20;

impl OtherBrokers for Peers {
    fn produce_plain<'a>(&'a self, address: &'a str, call: PlainProduce) -> RemoteAnswer<'a, Vec<PlainResult>> {
        self.send_plain(address, call).boxed()
    }

    fn fetch_plain<'a>(
        &'a self,
        address: &'a str,
        call: PlainFetch,
        limit: Duration,
    ) -> RemoteAnswer<'a, PlainFetched> {
        async move {
            let limit = call.max_wait + limit;
            let request = forwarded(fetch_request(call), limit);
            let mut leader = self.consumer(address, MAX_PASSED_ON_BYTES)?;
            let answer = leader.fetch_records(request).map_err(too_large_to_pass_on);
            let answer = in_time(limit, answer).await?;
            Ok(PlainFetched {
                records: answer.records.into_iter().map(Record::from).collect(),
                ends: Some(Ends {
                    log_start_offset: Offset(answer.log_start_offset),
                    high_watermark: Offset(answer.high_watermark),
                }),
                room: None,
            })
        }
        .boxed()
    }

    fn list_offsets<'a>(
        &'a self,
        address: &'a str,
        lookups: Vec<Lookup>,
        limit: Duration,
    ) -> RemoteAnswer<'a, Vec<Result<FoundOffset, ErrorDetail>>> {
        async move {
            let queries = lookups.into_iter().map(offset_query).collect();
            let request = forwarded(v1::ListOffsetsRequest { queries }, limit);
            let answer = in_time(limit, self.consumer(address, MAX_MESSAGE_BYTES)?.list_offsets(request)).await?;
            Ok(answer.results.into_iter().map(found_offset).collect())
        }
        .boxed()
    }
}

/// What gRPC's library says of an answer of which it has read the length alone, in other words; what a node says, of an
/// offset that is out of range, has the same code.
fn too_large_to_pass_on(status: tonic::Status) -> tonic::Status {
    if status.code() != Code::OutOfRange || from_status(&status).is_some() {
        return status;
    }
    let message = "the record is too large to be passed on; ask the broker that leads";
    ErrorDetail::new(ErrorCode::NotLeaderOrFollower, message).into()
}

/// A call that goes no further, with its deadline.
fn forwarded<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request.metadata_mut().insert(forward::FORWARDED, MetadataValue::from_static("1"));
    request
}

/// The answer to a call that reads. One that does not come in time says that the broker is not there.
async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, ErrorDetail> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(match classify(&status) {
            (Origin::Node, detail) => detail,
            (Origin::NotConnected | Origin::Transport, detail) => {
                ErrorDetail::new(ErrorCode::BrokerNotAvailable, detail.message)
            }
        }),
        Err(_) => Err(ErrorDetail::new(ErrorCode::BrokerNotAvailable, "no answer in time")),
    }
}

impl Peers {
    fn consumer(&self, address: &str, most_bytes: usize) -> Result<ConsumerServiceClient<Channel>, ErrorDetail> {
        Ok(ConsumerServiceClient::new(self.channel(address, Purpose::Reads)?).max_decoding_message_size(most_bytes))
    }

    async fn send_plain(&self, address: &str, call: PlainProduce) -> Result<Vec<PlainResult>, ErrorDetail> {
        let channel = self.channel(address, Purpose::Writes)?;
        let mut client = ProducerServiceClient::new(channel)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let wait = if call.timeout_ms == 0 { self.config.produce_timeout_ms } else { call.timeout_ms.into() };
        let limit = Duration::from_millis(wait + self.config.peer_rpc_timeout_ms);
        let request = forwarded(plain_request(call), limit);
        let Ok(answer) = tokio::time::timeout(limit, client.produce_records(request)).await else {
            let why = "the broker that leads did not answer in time; the records may be there";
            return Err(ErrorDetail::new(ErrorCode::RequestTimedOut, why).with_outcome(Outcome::Unknown));
        };
        let response = answer.map_err(|status| classify(&status).1)?;
        Ok(response.into_inner().results.into_iter().map(plain_result).collect())
    }
}

/// The message of a call that is sent on.
fn plain_request(call: PlainProduce) -> v1::ProduceRecordsRequest {
    let acks = match call.acks {
        Acks::Leader => v1::Acks::Leader,
        Acks::None | Acks::All => v1::Acks::All,
    };
    v1::ProduceRecordsRequest {
        topic: call.topic,
        partition: call.partition.map(|partition| partition.0),
        records: call
            .records
            .into_iter()
            .map(|record| v1::PlainRecord {
                key: record.key,
                value: record.value,
                headers: record.headers.into_iter().map(Into::into).collect(),
                timestamp_ms: record.timestamp.map(|timestamp| timestamp.0),
            })
            .collect(),
        acks: acks.into(),
        timeout_ms: call.timeout_ms,
        topic_id: call.topic_id.map(TopicId::to_bytes).unwrap_or_default(),
    }
}

fn plain_result(result: v1::PlainRecordResult) -> PlainResult {
    let partition = PartitionIndex(result.partition);
    match result.error {
        Some(error) => (partition, Err(error.into())),
        None => (partition, Ok(Offset(result.offset.unwrap_or_default()))),
    }
}

fn fetch_request(call: PlainFetch) -> v1::FetchRecordsRequest {
    let PlainFetch { target, max_wait, max_records, max_bytes, reader: _ } = call;
    v1::FetchRecordsRequest {
        topic: target.topic,
        topic_id: target.topic_id.map(TopicId::to_bytes).unwrap_or_default(),
        partition: target.partition.0,
        fetch_offset: target.fetch_offset.0,
        max_records,
        max_wait_ms: u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX),
        max_bytes,
    }
}

fn offset_query(lookup: Lookup) -> v1::OffsetQuery {
    let position = match lookup.position {
        Position::Earliest => WirePosition::Earliest(true),
        Position::Latest => WirePosition::Latest(true),
        Position::Time(time) => WirePosition::TimestampMs(time.0),
    };
    v1::OffsetQuery {
        topic: lookup.topic,
        partition: lookup.partition.0,
        position: Some(position),
        topic_id: lookup.topic_id.map(TopicId::to_bytes).unwrap_or_default(),
    }
}

fn found_offset(result: v1::OffsetResult) -> Result<FoundOffset, ErrorDetail> {
    if let Some(error) = result.error {
        return Err(error.into());
    }
    Ok(FoundOffset {
        offset: result.offset.map(Offset),
        timestamp: result.timestamp_ms.map(TimestampMs),
        leader_epoch: convert::leader_epoch(result.leader_epoch, "leader_epoch")?,
    })
}
