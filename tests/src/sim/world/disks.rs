//! The log writers of all brokers: rounds of work, one at a time for each log, as long as its disk takes.

use holdfast_proto::ids::{BrokerId, TopicPartition};
use holdfast_replication::FlushPolicy;

use super::{
    state::World,
    upcoming::{LogNumber, Start, Upcoming},
};
use crate::sim::disk::{Done, SimLog, Work};

/// How long the interval of `flush.policy=interval` lasts, ms.
const FLUSH_MS: u64 = 300;

impl World {
    /// A log has something to write: a round begins, unless one is under way.
    pub(super) fn work(&mut self, id: BrokerId, start: Start, tp: TopicPartition) {
        let Some(log) = self.disks[&id].logs.get(&tp) else { return };
        let number = (tp, log.number());
        if log.waits().len() == 0 || !self.writing.insert((id, number)) {
            return;
        }
        let is_durable = log.waits().any(Work::is_durable);
        let delay_ms = if is_durable { self.fsync_ms() } else { self.rng.u64(..3) };
        self.later(delay_ms, Upcoming::Written(id, start, number));
    }

    fn fsync_ms(&mut self) -> u64 {
        let is_slow = self.rng.u8(..self.shape.slow_disk_one_in) == 0;
        1 + self.rng.u64(..if is_slow { self.shape.slow_disk_ms } else { 8 })
    }

    fn opened_log(&mut self, id: BrokerId, start: Start, (tp, number): LogNumber) -> Option<&mut SimLog> {
        self.running.get(&id).filter(|(running, _)| *running == start)?;
        self.disks.get_mut(&id)?.logs.get_mut(&tp).filter(|log| log.number() == number)
    }

    /// Everything that waited is written; then it is flushed, or will be by and by.
    pub(super) fn written(&mut self, id: BrokerId, start: Start, number: LogNumber) {
        let Some(log) = self.opened_log(id, start, number) else { return };
        let policy = log.policy();
        let done = log.write(usize::MAX);
        for done in done {
            self.tell(id, start, number, done);
        }
        match policy {
            FlushPolicy::Ack => {
                let delay_ms = self.fsync_ms();
                self.later(delay_ms, Upcoming::Flushed(id, start, number));
            }
            FlushPolicy::Interval => {
                self.writing.remove(&(id, number));
                if self.flush_due.insert((id, number)) {
                    let delay_ms = self.rng.u64(..FLUSH_MS);
                    self.later(delay_ms, Upcoming::FlushDue(id, start, number));
                }
                self.work(id, start, number.0);
            }
        }
    }

    /// The fsync of a round has returned.
    pub(super) fn flushed(&mut self, id: BrokerId, start: Start, number: LogNumber) {
        self.writing.remove(&(id, number));
        self.flush_due.remove(&(id, number));
        let with_mark = self.rng.u8(..4) == 0;
        let Some(log) = self.opened_log(id, start, number) else { return };
        let done = log.flush(with_mark);
        if self.shape.retention_ms.is_some() {
            self.broker(id, start, |broker, now, disk, _| broker.keep_times(now, number.0, disk));
        }
        self.tell(id, start, number, done);
        self.work(id, start, number.0);
    }

    /// The flush of `flush.policy=interval`, between two rounds.
    pub(super) fn flush_due(&mut self, id: BrokerId, start: Start, number: LogNumber) {
        if self.writing.contains(&(id, number)) {
            return self.later(1, Upcoming::FlushDue(id, start, number));
        }
        self.flushed(id, start, number);
    }

    fn tell(&mut self, id: BrokerId, start: Start, (tp, number): LogNumber, done: Done) {
        match &done {
            Done::Truncated(..) => self.coverage.truncations += 1,
            Done::LogStart(_) => self.coverage.log_starts_moved += 1,
            Done::Flushed(..) => {}
        }
        self.broker(id, start, |broker, now, disk, out| {
            if disk.logs.get(&tp).is_some_and(|log| log.number() == number) {
                broker.done(now, tp, done, disk, out);
            }
        });
    }
}
