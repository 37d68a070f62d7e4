//! A batch that is larger than its topic takes goes on as two (KIP-126).
//!
//! The parts have the sequences that the records had, so what follows them keeps its own. The queue remembers what was
//! too large: the batches that come are at most half of it.

use std::sync::Arc;

use bytes::Bytes;

use holdfast_proto::batch::{self, BatchBuilder, Compression, DecodeLimits, Record};

use super::{
    BatchQueue,
    flight::{Flight, FlightBatch, Payload},
};
use crate::producer::{batch_bytes::BATCH_BYTES_MIN, completion::Part};

impl BatchQueue {
    /// Puts two flights in the place of this one, to be sent once all that is out is answered. False, and nothing is
    /// changed, for a single record, and for a batch that may be in the log: its parts would not be known as what is
    /// there.
    ///
    /// The records are read out of the built batch, under the partition's lock: rare, and a few milliseconds at most.
    pub(super) fn split_flight(&mut self, index: usize) -> bool {
        let flight = &self.flights[index];
        let Payload::Built(bytes, _) = &flight.payload else { return false };
        if flight.doubt || flight.batch.record_count < 2 {
            return false;
        }
        let limits = DecodeLimits { max_decompressed_bytes: usize::MAX, max_built_bytes: usize::MAX }; // what was built here
        let Ok(records) = batch::decode(bytes.clone(), &limits) else { return false };
        let Ok(builders) = halves(&records, self.rules.compression) else { return false };
        let Some(flight) = self.flights.remove(index) else { return false };
        let size = builders.0.size_bytes() + builders.1.size_bytes();
        self.rules.batch_size_bytes = self.rules.batch_size_bytes.min((size / 2).max(BATCH_BYTES_MIN));
        let ids = (flight.id, self.next_flight);
        self.next_flight += 1;
        let (first, second) = flight.split(ids, builders);
        self.flights.insert(index, second);
        self.flights.insert(index, first);
        self.recovering = true; // without a pause: nothing has to pass
        true
    }
}

/// The records in order, so that the first builder has at most half of their bytes; each has one record at least.
fn halves(records: &[Record], compression: Compression) -> Result<(BatchBuilder, BatchBuilder), batch::Error> {
    let (mut first, mut second) = (BatchBuilder::new(compression), BatchBuilder::new(compression));
    let size_of =
        |record: &Record| record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len);
    let whole: usize = records.iter().map(size_of).sum();
    let mut taken = 0;
    for (index, record) in records.iter().enumerate() {
        taken += size_of(record);
        let in_first = index == 0 || (second.is_empty() && taken <= whole / 2 && index + 1 < records.len());
        let builder = if in_first { &mut first } else { &mut second };
        builder.append(&record.as_ref())?;
    }
    Ok((first, second))
}

impl Flight {
    /// Two in the place of one, each with its own records, callbacks, sequences and share of the memory.
    fn split(self, ids: (u64, u64), builders: (BatchBuilder, BatchBuilder)) -> (Self, Self) {
        let Self { batch, base_sequence, .. } = self;
        let FlightBatch { completion, callbacks, created_at, record_count, reserved_bytes, part } = batch;
        let count = builders.0.record_count();
        let middle = part.first + count;
        let (before, after) = callbacks.into_iter().partition(|(index, _)| *index < middle);
        let reserved_first = reserved_bytes * count as usize / record_count as usize;
        let first = FlightBatch {
            completion: Arc::clone(&completion),
            callbacks: before,
            created_at,
            record_count: count,
            reserved_bytes: reserved_first,
            part: Part { first: part.first, last: false },
        };
        let second = FlightBatch {
            completion,
            callbacks: after,
            created_at,
            record_count: record_count - count,
            reserved_bytes: reserved_bytes - reserved_first,
            part: Part { first: middle, last: part.last },
        };
        (
            Self::ready(ids.0, first, base_sequence, builders.0),
            Self::ready(ids.1, second, base_sequence.plus(count), builders.1),
        )
    }
}
