//! The end of a run: all faults end, and the result is held against everything that was promised.

use std::fmt::Write as _;

use holdfast_proto::ids::BrokerId;

use super::{BROKERS, Coverage, Upcoming, World};
use crate::sim::{disk::SimLog, producer::Producer};

impl World {
    /// Ends all faults, lets every producer finish, and holds the result against everything that was promised.
    pub fn heal_and_audit(mut self) -> Coverage {
        self.network.heal();
        self.producing = false;
        for id in (1..=BROKERS).map(BrokerId) {
            self.later(0, Upcoming::Start(id));
        }
        let deadline_ms = self.now_ms + 60_000;
        while !self.is_settled() {
            assert!(self.now_ms < deadline_ms, "STUCK: 60 s after the last fault\n{}", self.describe());
            let next_ms = self.now_ms + 100;
            self.run_until(next_ms);
        }
        for tp in self.partitions() {
            let state = self.controller.image().partition(tp).expect("the partition is there").clone();
            let logs: Vec<_> = state.replicas.iter().map(|id| self.disks[id].logs[&tp].batches()).collect();
            for (id, log) in state.replicas.iter().zip(&logs) {
                let differ = log.iter().zip(logs[0]).find(|(one, other)| one != other);
                assert!(
                    *log == logs[0],
                    "replicas of {tp} differ: broker {id} and broker {}: {differ:?} or lengths {} and {}",
                    state.replicas[0],
                    log.len(),
                    logs[0].len()
                );
                self.oracle.final_log(tp, log);
            }
            self.coverage.elections += u64::from(state.leader_epoch.0).saturating_sub(1);
        }
        self.coverage.moves_ended = self.controller.moves_ended();
        self.coverage.acked = self.oracle.acked_count() as u64;
        self.coverage.resent = self.producers.values().map(Producer::resent).sum();
        let made: u64 = self.producers.values().map(|producer| u64::from(producer.made())).sum();
        assert!(self.coverage.acked == made, "{made} batches were made, {} were acknowledged", self.coverage.acked);
        self.coverage
    }

    pub(super) fn is_settled(&self) -> bool {
        let image = self.controller.image();
        let whole = image.partitions().all(|(tp, _, state)| {
            // Whoever holds no replica any more has deleted its log.
            let holders = self.disks.iter().filter(|(_, disk)| disk.logs.contains_key(&tp));
            let elsewhere = holders.filter(|(id, _)| !state.replicas.contains(id)).count();
            let ends: Vec<u64> =
                state.replicas.iter().filter_map(|id| self.disks[id].logs.get(&tp)).map(SimLog::flushed).collect();
            !state.is_moving()
                && elsewhere == 0
                && state.isr.len() == state.replicas.len()
                && ends.len() == state.replicas.len()
                && ends.iter().all(|end| *end == ends[0])
        });
        whole && self.producers.values().all(|producer| producer.pending() == 0)
    }

    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (tp, _, state) in self.controller.image().partitions() {
            let _ = writeln!(text, "{tp}: {state:?}");
            for (id, (_, broker)) in &self.running {
                let _ = writeln!(text, "  broker {id}: {}", broker.describe(tp));
            }
        }
        for (number, producer) in &self.producers {
            let _ = writeln!(text, "producer {number}: {} pending, leader {:?}", producer.pending(), producer.leader);
        }
        text
    }
}
