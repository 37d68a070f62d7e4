//! A batch on its way.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use holdfast_proto::{
    batch::{self, BatchBuilder, Compression, ProducerStamp, RecordRef},
    error::ErrorCode,
    ids::{PartitionIndex, Sequence},
};

use crate::producer::completion::{BatchCompletion, BatchOutcome, Callback, Part};

/// A batch that has no sequence yet.
pub(crate) struct PendingBatch {
    builder: BatchBuilder,
    pub(crate) completion: Arc<BatchCompletion>,
    callbacks: Vec<(u32, Callback)>,
    pub(crate) created_at: Instant,
    pub(crate) record_count: u32,
    reserved_bytes: usize,
}

impl PendingBatch {
    pub(crate) fn new(partition: PartitionIndex, compression: Compression, capacity: usize, now: Instant) -> Self {
        Self {
            builder: BatchBuilder::with_capacity(compression, capacity),
            completion: BatchCompletion::new(partition),
            callbacks: Vec::new(),
            created_at: now,
            record_count: 0,
            reserved_bytes: 0,
        }
    }

    pub(crate) fn would_fit(&self, record: &RecordRef<'_>, max_bytes: usize) -> bool {
        self.builder.would_fit(record, max_bytes)
    }

    /// Appends the record and gives its index in the batch.
    pub(crate) fn append(
        &mut self,
        record: &RecordRef<'_>,
        reserved_bytes: usize,
        callback: &mut Option<Callback>,
    ) -> Result<u32, batch::Error> {
        self.builder.append(record)?;
        let index = self.record_count;
        self.record_count += 1;
        self.reserved_bytes += reserved_bytes;
        if let Some(callback) = callback.take() {
            self.callbacks.push((index, callback));
        }
        Ok(index)
    }

    /// The batch at its end.
    pub(crate) fn finish(self, outcome: BatchOutcome) -> Finished {
        Finished {
            completion: self.completion,
            callbacks: self.callbacks,
            record_count: self.record_count,
            reserved_bytes: self.reserved_bytes,
            part: Part::WHOLE,
            outcome,
        }
    }
}

impl std::fmt::Debug for PendingBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingBatch({} records)", self.record_count)
    }
}

/// A batch that has come to its end, with what has to be done about it.
pub(crate) struct Finished {
    pub(crate) completion: Arc<BatchCompletion>,
    pub(crate) callbacks: Vec<(u32, Callback)>,
    pub(crate) record_count: u32,
    pub(crate) reserved_bytes: usize,
    pub(crate) part: Part,
    pub(crate) outcome: BatchOutcome,
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Finished({} records, {:?})", self.record_count, self.outcome)
    }
}

/// Where the bytes of a flight are.
#[derive(Debug)]
pub(super) enum Payload {
    /// Records are in, the bytes are built when it is sent first.
    Open(BatchBuilder),
    /// Being built, outside the lock.
    Taken,
    /// Built under this stamp.
    Built(Bytes, Option<ProducerStamp>),
}

/// Whether a flight is out.
#[derive(Debug)]
pub(super) enum State {
    /// To be sent, first or again.
    Ready,
    /// Out under this correlation id.
    Sent { correlation: u64, at: Instant },
    /// At its end, but one before it is not. `hole`: its sequences are not in the log, or perhaps not.
    Done { outcome: BatchOutcome, hole: bool },
}

/// A batch that has its sequence.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) batch: FlightBatch,
    pub(super) base_sequence: Sequence,
    pub(super) payload: Payload,
    pub(super) state: State,
    /// True if an attempt may have put it into the log without saying so.
    pub(super) doubt: bool,
    pub(super) last_error: Option<ErrorCode>,
}

/// A batch without its builder.
pub(super) struct FlightBatch {
    pub(super) completion: Arc<BatchCompletion>,
    /// Each with the index of its record in the batch as it was accepted, whatever part of it this is.
    pub(super) callbacks: Vec<(u32, Callback)>,
    pub(super) created_at: Instant,
    pub(super) record_count: u32,
    pub(super) reserved_bytes: usize,
    pub(super) part: Part,
}

impl std::fmt::Debug for FlightBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlightBatch({} records)", self.record_count)
    }
}

impl Flight {
    pub(super) fn new(id: u64, batch: PendingBatch, base_sequence: Sequence) -> Self {
        let PendingBatch { builder, completion, callbacks, created_at, record_count, reserved_bytes } = batch;
        let part = Part::WHOLE;
        let batch = FlightBatch { completion, callbacks, created_at, record_count, reserved_bytes, part };
        Self::ready(id, batch, base_sequence, builder)
    }

    /// One that was never sent.
    pub(super) fn ready(id: u64, batch: FlightBatch, base_sequence: Sequence, builder: BatchBuilder) -> Self {
        let (payload, state) = (Payload::Open(builder), State::Ready);
        Self { id, batch, base_sequence, payload, state, doubt: false, last_error: None }
    }

    pub(super) fn finish(self, outcome: BatchOutcome) -> Finished {
        let FlightBatch { completion, callbacks, record_count, reserved_bytes, part, .. } = self.batch;
        Finished { completion, callbacks, record_count, reserved_bytes, part, outcome }
    }
}
