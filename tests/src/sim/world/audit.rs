//! The end of a run: all faults end, and the result is held against everything that was promised.

use std::fmt::Write as _;

use holdfast_client::simulation::Ended;
use holdfast_metadata::PartitionState;
use holdfast_proto::ids::BrokerId;
use holdfast_replication::Acks;

use super::{coverage::Coverage, state::World, upcoming::Upcoming};
use crate::sim::disk::SimLog;

/// The slowest message once all faults have ended, ms.
const HEALED_LINK_MS: u64 = 150;

impl World {
    /// Ends all faults, lets every producer finish, and holds the result against everything that was promised.
    pub fn heal_and_audit(mut self) -> Coverage {
        self.end_faults();
        self.set_clocks_right();
        // What goes by its age is held against no promise.
        self.hold_retention(true);
        self.producing = false;
        for id in self.shape.brokers().map(BrokerId).collect::<Vec<_>>() {
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
            let logs: Vec<_> = state.replicas.iter().map(|id| &self.disks[id].logs[&tp]).collect();
            state.replicas.iter().zip(&logs).for_each(|(id, log)| self.oracle.begins(tp, *id, log.start()));
            // What one has retained away the others may still hold.
            let start = logs.iter().map(|log| log.start()).max().unwrap_or_default();
            let whole = logs.iter().min_by_key(|log| log.start()).expect("a partition has replicas");
            let logs: Vec<_> = logs.iter().map(|log| log.read(start, usize::MAX)).collect();
            for (id, log) in state.replicas.iter().zip(&logs) {
                let differ = log.iter().zip(&logs[0]).find(|(one, other)| one != other);
                assert!(
                    *log == logs[0],
                    "replicas of {tp} differ: broker {id} and broker {}: {differ:?} or lengths {} and {}",
                    state.replicas[0],
                    log.len(),
                    logs[0].len()
                );
            }
            self.oracle.final_log(tp, whole.start(), whole.batches());
            // Of what an operator gave up producers were told that it is there.
            let is_whole = !self.recovered.contains(&tp);
            let producers = self.producers.values().filter(|producer| producer.partition() == tp && is_whole);
            for producer in producers {
                let is_all = producer.acks() == Acks::All;
                self.oracle.final_outcomes(tp, whole.start(), whole.batches(), is_all, producer.ended());
            }
            self.coverage.elections += u64::from(state.leader_epoch.0).saturating_sub(1);
        }
        self.tell_what_has_gone_back();
        self.check_thaw();
        self.coverage.moves_ended = self.controller.moves_ended();
        self.coverage.brokers_fenced = self.controller.fenced();
        self.coverage.fenced_together = self.controller.fenced_together();
        self.coverage.starts_held_back = self.controller.starts_held_back();
        self.coverage.acked = self.oracle.acked_count() as u64;
        for producer in self.producers.values() {
            self.coverage.resent += producer.sent().saturating_sub(producer.made().into());
            let count = |wanted| producer.ended().filter(|(_, ended)| *ended == wanted).count() as u64;
            self.coverage.not_appended += count(Ended::NotAppended);
            self.coverage.in_doubt += count(Ended::InDoubt);
        }
        self.coverage
    }

    /// From now on all who run go on, and are heard.
    pub(super) fn end_faults(&mut self) {
        self.network.heal();
        self.breaks_joiners = false;
        // No message takes longer than the silence that ends a session, or sessions of many partitions end for ever: each
        // end makes changes, and of many changes one is always late.
        self.shape.slow_link_ms = self.shape.slow_link_ms.min(HEALED_LINK_MS);
    }

    fn is_settled(&self) -> bool {
        let image = self.controller.image();
        let whole =
            image.partitions().all(|(_, _, state)| !state.is_moving() && state.isr.len() == state.replicas.len());
        // A broker that holds no replica any more has deleted its log, and so has everybody with a deleted topic.
        let in_place = self.disks.iter().all(|(id, disk)| {
            disk.logs.keys().all(|tp| image.partition(*tp).is_some_and(|state| state.replicas.contains(id)))
        });
        let level = image.partitions().all(|(tp, _, state)| {
            let logs: Vec<&SimLog> = state.replicas.iter().filter_map(|id| self.disks[id].logs.get(&tp)).collect();
            // Nothing waits for a disk either: what one has appended the others may have yet to copy.
            let is_level = |log: &&SimLog| log.flushed() == logs[0].flushed() && log.end() == log.flushed();
            logs.len() == state.replicas.len() && logs.iter().all(is_level)
        });
        whole && in_place && level && self.producers.values().all(|producer| producer.pending() == 0)
    }

    fn describe(&self) -> String {
        let mut text = format!("{:?}\nimage at {}\n", self.shape, self.controller.image().index());
        let whole = |state: &PartitionState| !state.is_moving() && state.isr.len() == state.replicas.len();
        for (tp, _, state) in self.controller.image().partitions().filter(|(_, _, state)| !whole(state)) {
            let _ = writeln!(text, "{tp}: {state:?}");
            for (id, (_, broker)) in &self.running {
                let _ = writeln!(text, "  broker {id}: {}", broker.describe(tp));
            }
        }
        for (id, disk) in &self.disks {
            let _ = writeln!(text, "disk {id}: {:?}", disk.logs.keys().collect::<Vec<_>>());
        }
        for (number, producer) in &self.producers {
            let _ = writeln!(text, "producer {number}: {} pending, leader {:?}", producer.pending(), producer.leader());
        }
        text
    }
}
