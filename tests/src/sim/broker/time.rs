//! What a broker makes of its clocks: it looks at them, keeps the times of appends, and knows what is too old.

use holdfast_broker::here::time_trust::Distrusted;
use holdfast_proto::ids::{Millis, Offset, TopicPartition};

use super::process::Broker;
use crate::sim::disk::{Age, Disk};

impl Broker {
    /// The durable mark of a log is written, with the times of what it holds.
    pub fn keep_times(&self, now: Millis, tp: TopicPartition, disk: &mut Disk) {
        let Some(log) = disk.logs.get(&tp) else { return };
        let ages = disk.ages.entry(tp).or_default();
        ages.follow(log, now, self.clocks.append_ms(now));
        ages.keep(Offset(log.flushed()));
    }

    /// Looks at the clocks. `told`: from now on the wall clock is trusted, or not, and why.
    pub fn look_at_clocks(&mut self, now: Millis, disk: &mut Disk, told: &mut Vec<Option<Distrusted>>) {
        let kept = self.clocks.look(now, &disk.machine, told);
        disk.look = kept.or(disk.look);
    }

    /// The batches of the partitions that it leads which are older than this, as far as it has counted; it has just looked.
    pub fn too_old(&self, now: Millis, retention_ms: u64, disk: &mut Disk) -> Vec<(TopicPartition, Vec<(u64, Age)>)> {
        if !self.clocks.is_trusted() {
            return Vec::new();
        }
        let counted_ms = self.clocks.append_ms(now);
        let Disk { logs, ages, .. } = disk;
        let old = logs.iter().filter_map(|(tp, log)| {
            let high_watermark = self.readable_end(*tp)?;
            let ages = ages.entry(*tp).or_default();
            ages.follow(log, now, counted_ms);
            Some((*tp, ages.too_old(counted_ms, retention_ms as i64, high_watermark)))
        });
        old.filter(|(_, old)| !old.is_empty()).collect()
    }

    /// True if it trusts the wall clock.
    pub fn trusts_its_clock(&self) -> bool {
        self.clocks.is_trusted()
    }
}
