//! Plain records, sent on to the broker that leads their partition.

use std::time::Duration;

use futures::FutureExt;
use tonic::metadata::MetadataValue;

use holdfast_proto::{
    detail::ErrorDetail,
    forward,
    ids::{Offset, PartitionIndex},
    status::classify,
    v1::{self, producer_service_client::ProducerServiceClient},
};
use holdfast_replication::Acks;

use super::channels::Peers;
use crate::{
    config::limits::MAX_MESSAGE_BYTES,
    services::{
        other_nodes::{OtherBrokers, RemoteAnswer},
        plain_records::{PlainProduce, PlainResult},
    },
};

impl OtherBrokers for Peers {
    fn produce_plain<'a>(&'a self, address: &'a str, call: PlainProduce) -> RemoteAnswer<'a, Vec<PlainResult>> {
        self.send_plain(address, call).boxed()
    }
}

impl Peers {
    async fn send_plain(&self, address: &str, call: PlainProduce) -> Result<Vec<PlainResult>, ErrorDetail> {
        let channel = self.channel(address)?;
        let mut client = ProducerServiceClient::new(channel)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let wait = if call.timeout_ms == 0 { self.config.produce_timeout_ms } else { call.timeout_ms.into() };
        let mut request = tonic::Request::new(plain_request(call));
        request.set_timeout(Duration::from_millis(wait + self.config.peer_rpc_timeout_ms));
        request.metadata_mut().insert(forward::FORWARDED, MetadataValue::from_static("1"));
        let response = client.produce_records(request).await.map_err(|status| classify(&status).1)?;
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
    }
}

fn plain_result(result: v1::PlainRecordResult) -> PlainResult {
    let partition = PartitionIndex(result.partition);
    match result.error {
        Some(error) => (partition, Err(error.into())),
        None => (partition, Ok(Offset(result.offset))),
    }
}
