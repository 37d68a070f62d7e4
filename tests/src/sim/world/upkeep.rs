//! What brokers do to their logs from time to time: retention.

use holdfast_proto::ids::{BrokerId, Offset};

use super::{
    state::World,
    upcoming::{Start, Upcoming},
};
use crate::sim::{broker::Broker, disk::SimLog};

/// Records that retention leaves below what consumers may read, at the most.
const LEFT_MAX: u64 = 10;
/// How long it looks for what is old, at the most, ms: its replica may lead no more when it knows.
const LOOK_MS: u64 = 200;

impl World {
    /// A broker looks for what retention may take of a partition that it leads, as far as it knows.
    pub fn retain_some(&mut self) {
        let partitions = self.partitions();
        let Some(tp) = partitions.get(self.rng.usize(..partitions.len().max(1))).copied() else { return };
        let leads = |(id, (start, broker)): (&BrokerId, &(Start, Broker))| {
            broker.readable_end(tp).map(|end| (*id, *start, end))
        };
        let leaders: Vec<_> = self.running.iter().filter_map(leads).collect();
        let Some((id, start, end)) = leaders.get(self.rng.usize(..leaders.len().max(1))).copied() else { return };
        let Some(number) = self.disks[&id].logs.get(&tp).map(SimLog::number) else { return };
        let to = Offset(end.0.saturating_sub(self.rng.u64(..LEFT_MAX)));
        let delay_ms = self.rng.u64(..LOOK_MS);
        self.later(delay_ms, Upcoming::Retain(id, start, (tp, number), to));
    }
}
