//! Wall clocks that are set to something else while all runs, and what retention by time may take then: nothing that is younger
//! than it in truth, whichever clocks are wrong. Once all are right, each is trusted again after the thaw, and what is old goes.

use holdfast_broker::here::time_trust::Distrusted;
use holdfast_proto::ids::{BrokerId, Offset, TopicPartition};

use super::{
    state::World,
    upcoming::{Start, Upcoming},
};
use crate::sim::{
    broker::Broker,
    clocks::{KEEP_EVERY_MS, THAW_MS},
    disk::{Age, SimLog},
};

/// By how much clocks that are right are wrong, ms.
const SLIGHTLY_MS: i64 = 200;
/// Clocks that are wrong are so by one of these at least, ms: a late message does not hide it.
const FAR_MS: [i64; 3] = [5_000, 60 * 60 * 1_000, 10 * 365 * 24 * 60 * 60 * 1_000];
/// How long retention looks for what is old, at the most, ms.
const LOOK_MS: u64 = 100;
/// What it takes until a broker has heard a controller and looked, once all links carry; it may stand still before, ms.
const SLACK_MS: u64 = 3_500;

impl World {
    /// Somebody sets some clocks.
    pub fn set_some_clocks(&mut self) {
        if self.shape.retention_ms.is_none() {
            return;
        }
        let right_ms = self.rng.i64(-SLIGHTLY_MS..=SLIGHTLY_MS);
        let far_ms = FAR_MS[self.rng.usize(..FAR_MS.len())] + self.rng.i64(0..1_000);
        let wrong_ms = if self.rng.bool() { far_ms } else { -far_ms };
        let brokers: Vec<BrokerId> = self.shape.brokers().map(BrokerId).collect();
        let one = brokers[self.rng.usize(..brokers.len())];
        let controller = self.rng.usize(..3);
        match self.rng.u8(..10) {
            0..=2 => self.set_clock(one, wrong_ms),
            3 => self.set_clock(one, right_ms),
            4 => self.set_controller(controller, wrong_ms),
            5 => self.set_controller(controller, right_ms),
            roll @ 6..=7 => {
                for id in brokers {
                    self.set_clock(id, wrong_ms);
                }
                if roll == 7 {
                    for number in 0..3 {
                        self.set_controller(number, wrong_ms);
                    }
                }
            }
            _ => self.set_clocks_right(),
        }
        self.coverage.clocks_set += 1;
    }

    /// All clocks are about right from now on.
    pub(super) fn set_clocks_right(&mut self) {
        if self.shape.retention_ms.is_none() {
            return;
        }
        for id in self.shape.brokers().map(BrokerId).collect::<Vec<_>>() {
            let right_ms = self.rng.i64(-SLIGHTLY_MS..=SLIGHTLY_MS);
            self.set_clock(id, right_ms);
        }
        (0..3).for_each(|number| self.set_controller(number, 0));
    }

    fn set_clock(&mut self, id: BrokerId, wrong_ms: i64) {
        self.disks.get_mut(&id).expect("every broker has a disk").machine.wrong_ms = wrong_ms;
    }

    fn set_controller(&mut self, number: usize, wrong_ms: i64) {
        self.controller.wall_clocks.wrong_ms[number] = wrong_ms;
    }

    /// A broker looks at its clocks, and for what is too old.
    pub(super) fn retain_by_time(&mut self, id: BrokerId, start: Start) {
        let Some(retention_ms) = self.shape.retention_ms else { return };
        let (is_held, mut told, mut old) = (self.is_retention_held, Vec::new(), Vec::new());
        self.broker(id, start, |broker, now, disk, _| {
            broker.look_at_clocks(now, disk, &mut told);
            if !is_held {
                old = broker.too_old(now, retention_ms, disk);
            }
        });
        for why in told {
            match why {
                None => self.coverage.clocks_trusted += 1,
                Some(Distrusted::Unconfirmed | Distrusted::Unheard) => {}
                Some(Distrusted::Started { .. }) => self.coverage.machines_started += 1,
                Some(Distrusted::Jumped { .. }) => self.coverage.jumps_seen += 1,
                Some(Distrusted::Differs(_)) => self.coverage.wrong_clocks_seen += 1,
                Some(Distrusted::Split) => self.coverage.split_clocks_seen += 1,
            }
        }
        for (tp, old) in old {
            for (base, age) in &old {
                self.check_age(id, tp, *base, age, retention_ms);
            }
            let Some(number) = self.disks[&id].logs.get(&tp).map(SimLog::number) else { continue };
            let to = Offset(old.last().expect("there are some").1.next);
            self.coverage.retained_by_time += old.len() as u64;
            let delay_ms = self.rng.u64(..LOOK_MS);
            self.later(delay_ms, Upcoming::Retain(id, start, (tp, number), to));
        }
    }

    /// A process counts on from the last look that was kept: what the one before took off since, for a clock that went back
    /// and on again, it does not know. So ages may be too large by the time between two of these.
    fn check_age(&self, id: BrokerId, tp: TopicPartition, base: u64, age: &Age, retention_ms: u64) {
        let (age_ms, wrong_ms) = (self.now_ms - age.appended_at_ms, self.disks[&id].machine.wrong_ms);
        assert!(
            age_ms + KEEP_EVERY_MS >= retention_ms,
            "RETENTION: broker {id}, whose clock is wrong by {wrong_ms} ms, takes {:?} at {base} of {tp} after {age_ms} ms \
             of {retention_ms}",
            age.id
        );
    }

    /// Whether retention by time stands still.
    pub(super) fn hold_retention(&mut self, is_held: bool) {
        self.is_retention_held = is_held;
    }

    /// Once all clocks are right for a while every broker trusts its own again, and what is old goes.
    pub(super) fn check_thaw(&mut self) {
        let Some(retention_ms) = self.shape.retention_ms else { return };
        self.run_until(self.now_ms + THAW_MS + SLACK_MS);
        let distrusts = |(_, broker): &&(Start, Broker)| !broker.trusts_its_clock();
        let distrusting = self.running.values().find(distrusts);
        assert!(distrusting.is_none(), "STUCK: a clock that is right is not trusted again: {distrusting:?}");
        self.hold_retention(false);
        self.run_until(self.now_ms + retention_ms + SLACK_MS);
        for tp in self.partitions() {
            let leader = self.controller.image().partition(tp).and_then(|state| state.leader);
            let log = &self.disks[&leader.expect("every partition is led in the end")].logs[&tp];
            assert!(log.start() == log.end(), "STUCK: {tp} keeps {} to {}, which is too old", log.start(), log.end());
        }
    }
}
