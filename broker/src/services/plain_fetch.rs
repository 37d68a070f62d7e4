//! Single records out of batches, for callers that read no batches.
//!
//! Bounded by records, by bytes and by the disk's threads: a broker decompresses few batches at the same time, none of
//! them on a thread that has connections to keep. What is built holds room of the same memory as the batches; the room is
//! taken with theirs.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Semaphore;

use holdfast_proto::{
    batch::{self, BatchHeader, DecodeLimits, Header, Record, Records},
    detail::{ErrorDetail, LeaderHint},
    error::ErrorCode,
    ids::Offset,
};

use super::{
    caller::Caller,
    fetch::FetchService,
    fetched::{FetchCommand, FetchTarget, FetchedAnswer},
    hop::Hop,
    lookup::{self, Named},
    other_nodes::OtherBrokers,
    plain_fetched::{PlainFetch, PlainFetched},
};
use crate::{here::context::Context, partition::read};

/// Records of a call that names no number, and the most it may name.
const RECORDS: (u32, u32) = (500, 10_000);

/// Bytes of an answer to who names no number: a client with gRPC's default limit takes it.
const BYTES: u32 = 2 << 20;

/// Fetches that wait at other brokers at the same time. An answer of twice [`BYTES`] may be held for each; past it a caller
/// is told to ask the leader itself.
const ELSEWHERE: usize = 32;

/// Gives consumers single records.
#[derive(Clone)]
pub struct PlainFetchService {
    context: Arc<Context>,
    fetch: FetchService,
    others: Arc<dyn OtherBrokers>,
    elsewhere: Arc<Semaphore>,
}

impl PlainFetchService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>, fetch: FetchService, others: Arc<dyn OtherBrokers>) -> Self {
        Self { context, fetch, others, elsewhere: Arc::new(Semaphore::new(ELSEWHERE)) }
    }

    /// The first records from the target's offset on, from the leader if that is another broker and the call did not come
    /// from one. An error about what is read only if no record stands before it.
    pub async fn fetch(&self, caller: &Caller, call: PlainFetch, hop: Hop) -> Result<PlainFetched, ErrorDetail> {
        let FetchTarget { topic, topic_id, partition, .. } = &call.target;
        let named = Named { topic, topic_id: *topic_id, partition: *partition };
        match lookup::other_leader(&self.context, named.topic, named.partition) {
            Some(leader) if !hop.forwarded => {
                lookup::check_id(&self.context, &named).inspect_err(|detail| caller.refused("records", detail))?;
                self.fetch_elsewhere(leader, call, hop).await
            }
            _ => self.fetch_here(caller, call).await,
        }
    }

    async fn fetch_elsewhere(
        &self,
        leader: LeaderHint,
        call: PlainFetch,
        hop: Hop,
    ) -> Result<PlainFetched, ErrorDetail> {
        let Ok(_turn) = self.elsewhere.try_acquire() else { return Err(lookup::elsewhere(leader)) };
        let max_bytes = if call.max_bytes == 0 { BYTES } else { call.max_bytes.min(BYTES) };
        let limit = Duration::from_millis(self.context.config.peer_rpc_timeout_ms);
        let max_wait = hop.limit(call.max_wait + limit).saturating_sub(limit).min(call.max_wait);
        let call = PlainFetch { max_wait, max_bytes, ..call };
        let fetched = match self.others.fetch_plain(&leader.address, call, limit).await {
            Ok(fetched) => fetched,
            Err(detail) if detail.code == ErrorCode::BrokerNotAvailable => {
                return Err(lookup::not_reached(&leader, &detail));
            }
            Err(detail) if detail.code == ErrorCode::NotLeaderOrFollower && detail.leader.is_none() => {
                return Err(lookup::elsewhere(leader));
            }
            Err(detail) => return Err(detail),
        };
        // It is here already: what it takes up is counted until it has left the socket.
        let size = fetched.records.iter().map(bytes_of).sum();
        let room = self.context.logs.consumers.memory.exactly(size).await?;
        Ok(PlainFetched { room: Some(room), ..fetched })
    }

    async fn fetch_here(&self, caller: &Caller, call: PlainFetch) -> Result<PlainFetched, ErrorDetail> {
        let PlainFetch { target, max_wait, max_records, max_bytes, reader } = call;
        let from = target.fetch_offset;
        let bytes = if max_bytes == 0 { BYTES } else { max_bytes }.min(self.context.config.fetch_max_bytes) as usize;
        let records = if max_records == 0 { RECORDS.0 } else { max_records.min(RECORDS.1) } as usize;
        let targets = vec![target];
        let command = FetchCommand { targets, max_wait, min_bytes: 1, max_bytes, spare_bytes: bytes, reader };
        let FetchedAnswer { mut fetched, room, .. } = self.fetch.fetch(caller, &command).await;
        let (Some(found), room) = (fetched.pop(), room) else { return Ok(PlainFetched::nothing()) };
        let (batches, ends) = (found.result?.pieces, found.ends);
        let Some(mut room) = room else { return Ok(PlainFetched::nothing()) };
        // The fuller the memory the fewer records.
        let left = room.bytes().saturating_sub(read::size(&batches));
        let limits = PlainLimits { records, bytes: bytes.min(left) };
        let single_records = &self.context.logs.single_records;
        let decoding = single_records.run(move || Ok(first(read::join(batches), from, limits)));
        let (records, error) = decoding.await.map_err(ErrorDetail::from)?;
        if let (true, Some(unreadable)) = (records.is_empty(), error) {
            return Err(unreadable.into());
        }
        let size = records.iter().map(bytes_of).sum();
        if !room.fit(size) {
            return Err(self.no_room(size));
        }
        Ok(PlainFetched { records, ends, room: Some(room) })
    }

    fn no_room(&self, size: usize) -> ErrorDetail {
        if size > self.context.logs.consumers.memory.most_bytes() {
            let message = format!("the record takes up {size} bytes; read it as a batch, which stays compressed");
            return ErrorDetail::new(ErrorCode::MessageTooLarge, message);
        }
        let message = "the memory for answers is taken up by other readers; retry, or read batches";
        ErrorDetail::new(ErrorCode::Overloaded, message)
    }
}

/// Where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PlainLimits {
    /// Most records in an answer.
    records: usize,
    /// Most bytes that its records take up; the first comes whatever its size.
    bytes: usize,
}

/// A batch that stands in the log and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unreadable {
    error: batch::Error,
    /// Where the one after it begins, if its header can be read.
    next: Option<Offset>,
}

impl From<Unreadable> for ErrorDetail {
    /// To read it again does not help, whatever a producer is told of such bytes.
    fn from(Unreadable { error, next }: Unreadable) -> Self {
        let next = next.map_or_else(String::new, |next| format!("; what comes after it begins at offset {next}"));
        Self {
            retriable: false,
            ..Self::new(error.code(), format!("a batch in the log cannot be read: {error}{next}"))
        }
    }
}

/// What is found before the first batch that cannot be read, and that.
fn first(batches: Bytes, from: Offset, limits: PlainLimits) -> (Vec<Record>, Option<Unreadable>) {
    let (mut found, mut size) = (Vec::new(), 0);
    for batch in batch::split(batches) {
        let header = batch.as_ref().ok().and_then(|batch| BatchHeader::parse(batch).ok());
        let next = header.map(|header| header.next_offset());
        let unreadable = |found, error| (found, Some(Unreadable { error, next }));
        let records = match batch.and_then(|batch| Records::new(batch, &DecodeLimits::default())) {
            Ok(records) => records,
            Err(error) => return unreadable(found, error),
        };
        for record in records {
            let record = match record {
                Ok(record) if record.offset < from => continue,
                Ok(record) => record,
                Err(error) => return unreadable(found, error),
            };
            size += bytes_of(&record);
            if !found.is_empty() && size > limits.bytes {
                return (found, None);
            }
            found.push(own(record));
            if found.len() >= limits.records {
                return (found, None);
            }
        }
    }
    (found, None)
}

/// With bytes of its own: one that shares those of its batch keeps all of them until the answer is sent.
fn own(record: Record) -> Record {
    let copy = |bytes: Option<Bytes>| bytes.map(|bytes| Bytes::copy_from_slice(&bytes));
    let headers = record.headers.into_iter().map(|header| Header { key: header.key, value: copy(header.value) });
    Record { key: copy(record.key), value: copy(record.value), headers: headers.collect(), ..record }
}

/// What a record takes up in memory: many headers of no bytes are many bytes.
fn bytes_of(record: &Record) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = record.headers.iter().map(|header| header.key.len() + length(&header.value));
    let text = length(&record.key) + length(&record.value) + headers.sum::<usize>();
    text + DecodeLimits::built_bytes(record.headers.len())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        batch::{BatchBuilder, Compression, RecordRef},
        ids::{LeaderEpoch, TimestampMs},
    };

    use super::*;

    const LIMITS: PlainLimits = PlainLimits { records: 100, bytes: 2 << 20 };

    /// A batch of so many records with values of so many zeros.
    fn batch(base: u64, records: usize, value_bytes: usize) -> Bytes {
        let mut builder = BatchBuilder::new(Compression::Zstd);
        let value = vec![0; value_bytes];
        for _ in 0..records {
            let record = RecordRef { timestamp: TimestampMs(0), key: None, value: Some(&value), headers: &[] };
            builder.append(&record).unwrap();
        }
        let mut batch = builder.build(None).unwrap().to_vec();
        batch::set_base_offset_and_epoch(&mut batch, Offset(base), LeaderEpoch(0));
        batch.into()
    }

    #[test]
    fn an_answer_ends_at_its_records_and_at_its_bytes() {
        let batches: Bytes = [batch(0, 10, 1), batch(10, 10, 1)].concat().into();
        let offsets = |records| {
            let (records, error) = first(batches.clone(), Offset(5), PlainLimits { records, ..LIMITS });
            assert_eq!(error, None);
            records.iter().map(|record| record.offset.0).collect::<Vec<_>>()
        };
        assert_eq!(offsets(7), (5..12).collect::<Vec<_>>());
        assert_eq!(offsets(100), (5..20).collect::<Vec<_>>());
        let (records, _) = first(batch(0, 30, 1 << 20), Offset(0), LIMITS);
        assert_eq!(records.len(), 1, "two do not fit, with what they are built of");
        let (records, _) = first(batch(0, 1, 8 << 20), Offset(0), LIMITS);
        assert_eq!(records.len(), 1, "the first comes whatever its size");
    }

    #[test]
    fn headers_of_no_bytes_fill_an_answer_too() {
        let headers = vec![Header { key: String::new(), value: None }; 10_000];
        let mut builder = BatchBuilder::new(Compression::Zstd);
        for _ in 0..20 {
            let record = RecordRef { timestamp: TimestampMs(0), key: None, value: None, headers: &headers };
            builder.append(&record).unwrap();
        }
        let batch = builder.build(None).unwrap();
        assert!(batch.len() < 10_000, "{} bytes", batch.len());
        let (records, _) = first(batch, Offset(0), LIMITS);
        let size: usize = records.iter().map(bytes_of).sum();
        assert!(size <= LIMITS.bytes && records.len() < 5, "{} records, {size} bytes", records.len());
    }

    #[test]
    fn what_stands_before_a_damaged_batch_is_given_first() {
        let mut second = batch(10, 10, 1).to_vec();
        *second.last_mut().unwrap() ^= 1;
        let batches: Bytes = [batch(0, 10, 1).to_vec(), second].concat().into();
        let (records, error) = first(batches.clone(), Offset(0), LIMITS);
        assert_eq!((records.len(), error.is_some()), (10, true));
        let (records, unreadable) = first(batches, Offset(10), LIMITS);
        assert_eq!(records.len(), 0);
        let detail = ErrorDetail::from(unreadable.expect("it is damaged"));
        assert!(!detail.retriable && detail.message.ends_with("begins at offset 20"), "{detail}");
    }
}
