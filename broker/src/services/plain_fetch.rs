//! Single records out of batches, for callers that read no batches.
//!
//! Bounded by records, by bytes and by the disk's threads: a broker decompresses few batches at the same
//! time, none of them on a thread that has connections to keep.

use bytes::Bytes;

use holdfast_proto::{
    batch::{self, DecodeLimits, Header, Record, Records},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::Offset,
};

use crate::partition::{answer_memory::AnswerRoom, read::DiskReads};

/// Where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainLimits {
    /// Most records in an answer.
    pub records: usize,
    /// Bytes of keys, values and headers after which it is full; the first record comes whatever its size.
    pub bytes: usize,
}

/// The first records from `from` on of these batches, which hold `room`; it grows to what they take up when decompressed. An
/// error only if there is none before it.
pub async fn records(
    disk: &DiskReads,
    batches: Bytes,
    from: Offset,
    limits: PlainLimits,
    room: &mut Option<AnswerRoom>,
) -> Result<Vec<Record>, ErrorDetail> {
    let (records, error) = disk.run(move || Ok(first(batches, from, limits))).await.map_err(ErrorDetail::from)?;
    if let (true, Some(error)) = (records.is_empty(), error) {
        return Err(ErrorDetail::from(error));
    }
    let size = records.iter().map(bytes_of).sum();
    if room.as_mut().is_some_and(|room| !room.fit(size)) {
        let message =
            "the memory for answers is taken up by other readers; retry, or read batches, which stay compressed";
        return Err(ErrorDetail::new(ErrorCode::Overloaded, message));
    }
    Ok(records)
}

/// What is found before the first error, and that.
fn first(batches: Bytes, from: Offset, limits: PlainLimits) -> (Vec<Record>, Option<batch::Error>) {
    let (mut found, mut size) = (Vec::new(), 0);
    for batch in batch::split(batches) {
        let records = match batch.and_then(|batch| Records::new(batch, &DecodeLimits::default())) {
            Ok(records) => records,
            Err(error) => return (found, Some(error)),
        };
        for record in records {
            let record = match record {
                Ok(record) if record.offset < from => continue,
                Ok(record) => record,
                Err(error) => return (found, Some(error)),
            };
            size += bytes_of(&record);
            found.push(own(record));
            if found.len() >= limits.records || size >= limits.bytes {
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

fn bytes_of(record: &Record) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = record.headers.iter().map(|header| header.key.len() + length(&header.value));
    length(&record.key) + length(&record.value) + headers.sum::<usize>()
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
        assert_eq!(records.len(), 2, "full");
        let (records, _) = first(batch(0, 1, 8 << 20), Offset(0), LIMITS);
        assert_eq!(records.len(), 1, "the first comes whatever its size");
    }

    #[test]
    fn what_stands_before_a_damaged_batch_is_given_first() {
        let mut second = batch(10, 10, 1).to_vec();
        *second.last_mut().unwrap() ^= 1;
        let batches: Bytes = [batch(0, 10, 1).to_vec(), second].concat().into();
        let (records, error) = first(batches.clone(), Offset(0), LIMITS);
        assert_eq!((records.len(), error.is_some()), (10, true));
        let (records, error) = first(batches, Offset(10), LIMITS);
        assert_eq!((records.len(), error.is_some()), (0, true));
    }
}
