//! Records without a batch, for any client: the broker makes the batches, and finds the leaders.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::StreamExt as _;

use holdfast_proto::{
    batch::{self, BatchBuilder, Compression, RecordRef},
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    ids::{Offset, PartitionIndex},
    partitioner,
};

use super::{
    caller::Caller,
    lookup::{self, Named},
    other_nodes::OtherBrokers,
    plain_records::{PlainProduce, PlainRecord, PlainResult},
    produce::{ProduceCommand, ProduceService},
};
use crate::here::context::Context;

/// Records in one call, at most.
const MAX_RECORDS: usize = 10_000;

/// Partitions that one call writes to at the same time, at most.
const MAX_GROUPS: usize = 64;

/// Takes records as key and value, and makes batches of them.
#[derive(Clone)]
pub struct PlainService {
    context: Arc<Context>,
    produce: ProduceService,
    others: Arc<dyn OtherBrokers>,
}

impl PlainService {
    /// The service of this broker; `others` takes the records that other brokers lead.
    pub fn new(context: Arc<Context>, produce: ProduceService, others: Arc<dyn OtherBrokers>) -> Self {
        Self { context, produce, others }
    }

    /// One result a record, in their order. The records of one partition stay in order and are appended in as few
    /// batches as fit; records of different partitions fail apart from each other.
    pub async fn produce(&self, caller: &Caller, call: PlainProduce) -> Result<Vec<PlainResult>, ErrorDetail> {
        if call.records.is_empty() || call.records.len() > MAX_RECORDS {
            let message = format!("{} records in one call; 1 to {MAX_RECORDS} are allowed", call.records.len());
            let detail = ErrorDetail::new(ErrorCode::InvalidRequest, message);
            caller.refused("plain records", &detail);
            return Err(detail);
        }
        let groups = self.groups(&call).inspect_err(|detail| caller.refused("plain records", detail))?;
        let parts: Vec<_> =
            groups.iter().map(|(partition, members)| self.produce_group(caller, &call, *partition, members)).collect();
        let results: Vec<_> = futures::stream::iter(parts).buffered(MAX_GROUPS).collect().await;
        let mut ordered: Vec<Option<PlainResult>> = vec![None; call.records.len()];
        for ((partition, members), results) in groups.iter().zip(results) {
            for (member, result) in members.iter().zip(results) {
                ordered[*member] = Some((*partition, result));
            }
        }
        Ok(ordered.into_iter().flatten().collect())
    }

    /// Indices of the records of each partition.
    fn groups(&self, call: &PlainProduce) -> Result<BTreeMap<PartitionIndex, Vec<usize>>, ErrorDetail> {
        let image = self.context.metadata.look();
        let topic = lookup::topic(&image, &call.topic, call.topic_id)?;
        let count = topic.partitions().len() as u32;
        let any = PartitionIndex(rand::random_range(0..count.max(1)));
        let mut groups: BTreeMap<PartitionIndex, Vec<usize>> = BTreeMap::new();
        for (index, record) in call.records.iter().enumerate() {
            let partition = match (call.partition, &record.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partitioner::partition_for_key(key, count),
                (None, None) => any,
            };
            lookup::state(topic, partition)?;
            groups.entry(partition).or_default().push(index);
        }
        Ok(groups)
    }

    async fn produce_group(
        &self,
        caller: &Caller,
        call: &PlainProduce,
        partition: PartitionIndex,
        members: &[usize],
    ) -> Vec<Result<Offset, ErrorDetail>> {
        match lookup::other_leader(&self.context, &call.topic, partition) {
            Some(leader) if !call.forwarded => {
                let records = members.iter().map(|member| call.records[*member].clone()).collect();
                // Field by field: the other groups' records are not this one's to copy.
                let part = PlainProduce {
                    topic: call.topic.clone(),
                    topic_id: call.topic_id,
                    partition: Some(partition),
                    records,
                    acks: call.acks,
                    timeout_ms: call.timeout_ms,
                    forwarded: true,
                };
                match self.others.produce_plain(&leader.address, part).await {
                    Ok(results) if results.len() == members.len() => results.into_iter().map(|(_, one)| one).collect(),
                    Ok(_) => vec![Err(ErrorCode::UnknownServerError.into()); members.len()],
                    Err(detail) => vec![Err(detail); members.len()],
                }
            }
            _ => self.produce_here(caller, call, partition, members).await,
        }
    }

    async fn produce_here(
        &self,
        caller: &Caller,
        call: &PlainProduce,
        partition: PartitionIndex,
        members: &[usize],
    ) -> Vec<Result<Offset, ErrorDetail>> {
        let named = Named { topic: &call.topic, topic_id: call.topic_id, partition };
        let max_bytes = match lookup::replica(&self.context, &named) {
            Ok((_, max_bytes)) => max_bytes,
            Err(detail) => return vec![Err(detail); members.len()],
        };
        let mut results = Vec::with_capacity(members.len());
        let mut rest = members;
        while !rest.is_empty() {
            let (batch, count) = match build(&call.records, rest, max_bytes) {
                Ok(built) => built,
                Err(detail) => {
                    // What comes after a record that cannot be taken is not appended either: order is kept.
                    let stopped = not_tried(detail.code);
                    results.push(Err(detail));
                    results.resize(members.len(), Err(stopped));
                    break;
                }
            };
            let command = ProduceCommand {
                named: named.clone(),
                leader_epoch: None,
                acks: call.acks,
                timeout_ms: call.timeout_ms,
                batch,
            };
            let (taken, later) = rest.split_at(count);
            match self.produce.produce_and_wait(caller, command).await {
                Ok(produced) => {
                    results.extend((0..taken.len() as u64).map(|delta| Ok(produced.base_offset.plus(delta))));
                }
                Err(detail) => {
                    let stopped = not_tried(detail.code);
                    results.extend(vec![Err(detail); taken.len()]);
                    results.resize(members.len(), Err(stopped));
                    break;
                }
            }
            rest = later;
        }
        results
    }
}

/// For a record behind one that failed with this code.
fn not_tried(code: ErrorCode) -> ErrorDetail {
    ErrorDetail::new(code, "not tried: an earlier record of the partition failed").with_outcome(Outcome::NotAppended)
}

/// A batch of as many of the records as fit and can be taken, at least one; or why the first of them cannot be taken.
fn build(records: &[PlainRecord], members: &[usize], max_bytes: usize) -> Result<(Bytes, usize), ErrorDetail> {
    let now = holdfast_log::wall_clock();
    let mut builder = BatchBuilder::new(Compression::None);
    let mut count = 0;
    for member in members {
        let record = &records[*member];
        let record = RecordRef {
            timestamp: record.timestamp.unwrap_or(now),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        if count > 0 && !builder.would_fit(&record, max_bytes) {
            break;
        }
        match builder.append(&record) {
            Ok(()) => count += 1,
            Err(_) if count > 0 => break, // those before it are no worse for it
            Err(error @ batch::Error::FieldOutOfRange { .. }) => {
                let message =
                    format!("{error}; give ms since 1970 up to the year 9999, or nothing for the broker's clock");
                return Err(ErrorDetail::new(error.code(), message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((builder.build(None)?, count))
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{batch::BatchHeader, ids::TimestampMs};

    use super::*;

    #[test]
    fn a_record_that_cannot_be_taken_is_refused_alone() {
        let record =
            |time| PlainRecord { key: None, value: None, headers: Vec::new(), timestamp: Some(TimestampMs(time)) };
        let far = TimestampMs(253_402_300_800_000);
        let records = [record(1), record(2), record(far.0), record(3)];
        let (batch, count) = build(&records, &[0, 1, 2, 3], usize::MAX).unwrap();
        assert_eq!((count, BatchHeader::parse(&batch).unwrap().max_timestamp), (2, TimestampMs(2)));
        let refused = build(&records, &[2, 3], usize::MAX).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidRecord);
        assert!(refused.message.contains(&far.0.to_string()), "{}", refused.message);
        assert_eq!(build(&records, &[3], usize::MAX).unwrap().1, 1);
    }
}
