//! One partition of the fake cluster: its batches, and what its leader remembers of producers.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use holdfast_client::ErrorCode;
use holdfast_proto::{
    batch::{self, BatchHeader, DecodeLimits},
    ids::{LeaderEpoch, Offset},
};

/// Batches per producer that duplicates are known by.
const REMEMBERED: usize = 5;

/// A partition in one copy, served by the broker that leads it: nobody while `leader` is `None`.
#[derive(Debug, Default)]
pub(crate) struct FakePartition {
    pub(crate) leader: Option<u32>,
    pub(crate) leader_epoch: u32,
    pub(crate) log_start: u64,
    pub(crate) end: u64,
    pub(crate) batches: Vec<Bytes>,
    /// True: its leader found damage, and tells nothing of it.
    pub(crate) damaged: bool,
    /// True: its leader gives records, and does not know their end yet.
    pub(crate) end_is_unknown: bool,
    pub(crate) producers: BTreeMap<i64, Producer>,
}

#[derive(Debug, Default)]
pub(crate) struct Producer {
    epoch: i16,
    next_sequence: i32,
    /// First sequence and base offset of the last batches.
    last: VecDeque<(i32, u64)>,
}

impl FakePartition {
    /// Appends one batch as a leader does; its base offset, also for a duplicate.
    pub(crate) fn append(&mut self, batch: &Bytes, max_bytes: usize) -> Result<u64, ErrorCode> {
        let header = batch::validate_produce(batch, max_bytes).map_err(|error| error.code())?;
        if header.has_producer() {
            let known = self.producers.get(&header.producer_id.0);
            match known {
                Some(known) if header.producer_epoch.0 < known.epoch => return Err(ErrorCode::InvalidProducerEpoch),
                Some(known) if header.producer_epoch.0 == known.epoch => {
                    let first = header.base_sequence.0;
                    if let Some((_, offset)) = known.last.iter().find(|(sequence, _)| *sequence == first) {
                        return Ok(*offset);
                    }
                    if first < known.next_sequence {
                        return Err(ErrorCode::DuplicateSequenceNumber);
                    }
                    if first > known.next_sequence {
                        return Err(ErrorCode::OutOfOrderSequenceNumber);
                    }
                }
                Some(_) if header.base_sequence.0 != 0 => return Err(ErrorCode::OutOfOrderSequenceNumber),
                None if header.base_sequence.0 != 0 => return Err(ErrorCode::UnknownProducerId),
                Some(_) | None => {}
            }
            let known = self.producers.entry(header.producer_id.0).or_default();
            if known.epoch != header.producer_epoch.0 {
                *known = Producer { epoch: header.producer_epoch.0, ..Producer::default() };
            }
            known.next_sequence = header.base_sequence.plus(header.record_count).0;
            known.last.push_back((header.base_sequence.0, self.end));
            if known.last.len() > REMEMBERED {
                known.last.pop_front();
            }
        }
        let base_offset = self.end;
        self.push(batch, &header);
        Ok(base_offset)
    }

    /// The leader forgets its producers, as after retention removed their records.
    pub(crate) fn forget_producers(&mut self) {
        self.producers.clear();
    }

    /// Retention removes the oldest batch.
    pub(crate) fn delete_first(&mut self) {
        let deleted = self.batches.remove(0);
        self.log_start = BatchHeader::parse(&deleted).unwrap().next_offset().0;
    }

    /// Batches from the one that holds the offset on, up to about so many bytes.
    pub(crate) fn read(&self, offset: u64, max_bytes: usize) -> Vec<Bytes> {
        let mut size = 0;
        let from = |batch: &&Bytes| BatchHeader::parse(batch).unwrap().next_offset().0 > offset;
        let batches = self.batches.iter().filter(from);
        batches
            .take_while(|batch| {
                let first = size == 0;
                size += batch.len();
                first || size <= max_bytes
            })
            .cloned()
            .collect()
    }

    /// The first record at or after the time.
    pub(crate) fn find(&self, timestamp: i64) -> Option<(u64, i64)> {
        self.records().into_iter().find(|(_, time, _)| *time >= timestamp).map(|(offset, time, _)| (offset, time))
    }

    pub(crate) fn values(&self) -> Vec<String> {
        self.records().into_iter().map(|(_, _, value)| value).collect()
    }

    fn records(&self) -> Vec<(u64, i64, String)> {
        let decode = |batch: &Bytes| batch::decode(batch.clone(), &DecodeLimits::default()).unwrap();
        let records = self.batches.iter().flat_map(decode);
        let text = |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
        records.map(|record| (record.offset.0, record.timestamp.0, text(record.value))).collect()
    }

    fn push(&mut self, batch: &Bytes, header: &BatchHeader) {
        let mut batch = BytesMut::from(&batch[..]);
        batch::set_base_offset_and_epoch(&mut batch, Offset(self.end), LeaderEpoch(self.leader_epoch));
        self.batches.push(batch.freeze());
        self.end += u64::from(header.record_count);
    }
}
