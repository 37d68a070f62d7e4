//! Appending: many batches with one vectored write per segment.

use std::{io::IoSlice, sync::Arc};

use bytes::Bytes;

use holdfast_proto::{
    batch::BatchHeader,
    ids::{Millis, Offset},
};

use super::{
    log::PartitionLog,
    placed::{Placed, parse},
};
use crate::{Error, clocks::steady, segment::indexes_are_full};

impl PartitionLog {
    /// Writes batches at the end; not durable before [`Self::flush`]. Each of `records` holds one or more whole batches,
    /// whose offsets go on where the log ends.
    ///
    /// Batches that cannot be parsed are an error, and nothing is written. Offsets that do not go on are a broken
    /// invariant of the caller and end the process. After a [shortage](Error::is_shortage) as a segment is closed some may
    /// be written: [`Self::append_rest`] goes on.
    pub fn append(&mut self, records: &[Bytes]) -> Result<(), Error> {
        self.disk.check()?;
        let mut placed = std::mem::take(&mut self.headers);
        placed.clear();
        let result = parse(records, &mut placed).and_then(|()| self.append_parsed(records, &placed));
        self.headers = placed;
        result
    }

    /// As [`Self::append`], of records of which some are in the log.
    pub fn append_rest(&mut self, records: &[Bytes]) -> Result<(), Error> {
        self.disk.check()?;
        let mut placed = Vec::new();
        parse(records, &mut placed)?;
        let written = placed.partition_point(|one| one.header.base_offset < self.active.tally.next);
        self.append_parsed(records, &placed[written..])
    }

    fn append_parsed(&mut self, records: &[Bytes], placed: &[Placed]) -> Result<(), Error> {
        let mut end = self.active.tally.next;
        for Placed { header, .. } in placed {
            assert!(
                header.base_offset == end,
                "a batch for offset {} comes where the log of {} ends at {end}; did the core and the log part ways?",
                header.base_offset,
                self.partition,
            );
            end = header.next_offset();
        }
        let mut rest = placed;
        while let Some(first) = rest.first() {
            if self.must_roll_for(&first.header) {
                self.roll()?;
            }
            let fits = self.count_that_fit(rest);
            self.note_epochs(&rest[..fits])?;
            self.write(records, &rest[..fits])?;
            rest = &rest[fits..];
        }
        Ok(())
    }

    /// Notes durably which leader epochs these batches begin, before one of them is written: no checksum of a batch covers its
    /// epoch, and past the durable mark no digest does. A leader has noted its own when it began.
    fn note_epochs(&mut self, placed: &[Placed]) -> Result<(), Error> {
        for Placed { header, .. } in placed {
            self.epochs_changed |= self.epochs.assign(header.leader_epoch, header.base_offset);
        }
        self.store_epochs()
    }

    /// How many of the batches go into the active segment, at least 1.
    fn count_that_fit(&self, placed: &[Placed]) -> usize {
        let mut size = self.active.tally.size;
        let base = self.active.segment.base();
        let fit = placed.iter().take_while(|Placed { header, .. }| {
            let is_first = size == 0;
            size += header.size_bytes as u64;
            is_first || (size <= self.config.segment_bytes.into() && fits_relative(base, header))
        });
        fit.count().max(1)
    }

    /// True if the active segment has to be closed before this batch.
    fn must_roll_for(&self, header: &BatchHeader) -> bool {
        let active = &self.active;
        let Some(first_append) = active.first_append else { return false };
        let size = active.tally.size + header.size_bytes as u64;
        let age_ms = steady().0.saturating_sub(first_append.0);
        size > self.config.segment_bytes.into()
            || !fits_relative(active.segment.base(), header)
            || u64::try_from(age_ms).is_ok_and(|age_ms| age_ms > self.config.segment_ms)
            || indexes_are_full(&active.segment, self.config.index_max_bytes)
    }

    /// Forgets the producers of which no retry can come any more.
    pub fn expire_producers(&mut self) {
        self.producers.expire(now());
    }

    /// Writes batches into the active segment with one vectored write, then counts and indexes them.
    fn write(&mut self, records: &[Bytes], placed: &[Placed]) -> Result<(), Error> {
        let position = self.active.tally.size;
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(placed.len().min(records.len()));
        for group in placed.chunk_by(|a, b| a.part == b.part) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            slices.push(IoSlice::new(&records[first.part][first.at..last.at + last.header.size_bytes]));
        }
        let segment = Arc::clone(&self.active.segment);
        self.disk.write_batches(&self.active.file, segment.path(), &mut slices, position)?;

        let mut is_store_due = false;
        for Placed { header, .. } in placed {
            is_store_due |= self.active.tally.add(&segment, self.config.index_interval_bytes, header);
            if header.has_producer() {
                self.producers.record(&header.into(), now());
            }
        }
        self.active.first_append.get_or_insert_with(steady);
        segment.appended_at(self.disk.ages().now());
        segment.publish(&self.active.tally);
        self.shared.set_written(self.active.tally.next);
        if is_store_due {
            let stored = segment.offsets.store(&self.disk).and_then(|()| segment.times.store(&self.disk));
            return match stored {
                Err(error) if error.is_shortage() => Ok(()), // they wait in memory
                stored => stored,
            };
        }
        Ok(())
    }
}

/// The time by which producers age.
fn now() -> Millis {
    Millis(steady().0 as u64)
}

/// True if the batch's offsets can be written relative to the segment's base, in Kafka's signed 32 bits.
fn fits_relative(base: Offset, header: &BatchHeader) -> bool {
    i32::try_from(header.last_offset().0 - base.0).is_ok()
}
