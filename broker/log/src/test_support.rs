//! What the tests of this crate share.

use std::{io, path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use tempfile::TempDir;
use uuid::Uuid;

use holdfast_proto::{
    batch::{BatchBuilder, BatchHeader, Compression, ProducerStamp, RecordRef, set_base_offset_and_epoch},
    ids::{
        LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicId, TopicPartition,
    },
};

use crate::{Disk, Error, LogConfig, PartitionLog, Recovered};

/// What a batch for a test is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) base: u64,
    pub(crate) records: u32,
    pub(crate) value_bytes: usize,
    pub(crate) epoch: u32,
    pub(crate) timestamp: i64,
    pub(crate) producer: Option<(i64, i32)>,
}

impl Sample {
    pub(crate) const fn at(base: u64) -> Self {
        Self { base, records: 1, value_bytes: 10, epoch: 0, timestamp: 1000, producer: None }
    }

    pub(crate) fn build(self) -> Bytes {
        let mut builder = BatchBuilder::new(Compression::None);
        let value = vec![b'v'; self.value_bytes];
        for n in 0..self.records {
            let record = RecordRef {
                timestamp: TimestampMs(self.timestamp + i64::from(n)),
                key: None,
                value: Some(&value),
                headers: &[],
            };
            builder.append(&record).unwrap();
        }
        let stamp = self.producer.map(|(id, sequence)| ProducerStamp {
            id: ProducerId(id),
            epoch: ProducerEpoch(0),
            base_sequence: Sequence(sequence),
        });
        let mut batch = BytesMut::from(&builder.build(stamp).unwrap()[..]);
        set_base_offset_and_epoch(&mut batch, Offset(self.base), LeaderEpoch(self.epoch));
        batch.freeze()
    }
}

/// A folder that vanishes with its value; in memory where the system has such a place, for fsyncs cost nothing there.
pub(crate) fn tempdir() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
}

pub(crate) fn try_open(folder: &Path, config: LogConfig) -> Result<(PartitionLog, Recovered), Error> {
    let disk = Disk::new();
    PartitionLog::open(&disk, &folder.join("p"), partition(), config)
}

pub(crate) fn open(folder: &Path, config: LogConfig) -> (PartitionLog, Recovered) {
    try_open(folder, config).unwrap()
}

pub(crate) fn open_on(disk: &Arc<Disk>, folder: &Path, config: LogConfig) -> PartitionLog {
    PartitionLog::open(disk, &folder.join("p"), partition(), config).unwrap().0
}

/// Small segments and dense indexes.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

/// Appends `count` batches of one record each, and flushes.
pub(crate) fn fill(log: &mut PartitionLog, count: u64) {
    for _ in 0..count {
        let base = log.log_end_offset().0;
        log.append(&[Sample { timestamp: base as i64 * 10, ..Sample::at(base) }.build()]).unwrap();
    }
    log.flush().unwrap();
}

/// Base offsets of the batches in `bytes`.
pub(crate) fn bases(mut bytes: &[u8]) -> Vec<u64> {
    let mut bases = Vec::new();
    while !bytes.is_empty() {
        let header = BatchHeader::parse(bytes).unwrap();
        bases.push(header.base_offset.0);
        bytes = &bytes[header.size_bytes..];
    }
    bases
}

/// Reads everything from `from` to the end, as base offsets.
pub(crate) fn read_all(log: &PartitionLog, from: u64) -> Result<Vec<u64>, Error> {
    let reader = log.reader();
    let mut at = Offset(from);
    let mut all = Vec::new();
    loop {
        let bytes = reader.read(at, 500, Offset(u64::MAX))?;
        if bytes.is_empty() {
            return Ok(all);
        }
        let some = bases(&bytes);
        let last = some[some.len() - 1];
        all.extend(some);
        let last = bytes.slice(find(&bytes, last)..);
        at = BatchHeader::parse(&last).unwrap().next_offset();
    }
}

fn find(bytes: &[u8], base: u64) -> usize {
    let mut at = 0;
    loop {
        let header = BatchHeader::parse(&bytes[at..]).unwrap();
        if header.base_offset.0 == base {
            return at;
        }
        at += header.size_bytes;
    }
}
