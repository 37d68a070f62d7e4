//! Power fails everywhere at one moment, or all brokers are told to stop, and one machine stays away: the others lead again
//! without it.

use holdfast_proto::ids::BrokerId;

use super::{coverage::Coverage, state::World, upcoming::Upcoming};
use crate::sim::{controller::TIMEOUTS, disk::Crash};

/// After the faults have ended, ms: no message of before is under way any more, and nobody lags and is about to leave an ISR.
const CATCH_UP_MS: u64 = 4_000;
/// How far a member of the ISR may lag behind, ms: with the slowest message less than what a leader bears.
const LAG_MS: u64 = 1_000;
/// How long all have to be in sync, ms.
const IN_SYNC_MS: u64 = 60_000;
/// Longest time between two of the ends, ms: less than what counts as together.
const BETWEEN_MS: u64 = 12;
/// How long the others are down, ms. None is back before the last one is gone.
const DOWN_MS: std::ops::Range<u64> = 100..1_500;
/// The controllers are among what loses power in half of the runs: another is active this long after the last end at most,
/// ms: before any deadline has passed.
const FAIL_OVER_MS: std::ops::Range<u64> = 0..100;
/// Longest time between two orders to stop, and between two stops, ms.
const STOP_BETWEEN_MS: u64 = 60;
/// Between two calls for what can be moved, ms: together some fetches and the slowest of their messages.
const ASK_AGAIN_MS: u64 = 250;
/// How long a leadership is waited for to be known to both ends, ms: as long as the disk of a follower is slow.
const SETTLE_MS: u64 = 10_000;
/// How long those that were stopped are down, ms. None is back before the last one is gone.
const STOPPED_MS: std::ops::Range<u64> = 300..1_500;
/// How long the one stays away, ms.
const AWAY_MS: u64 = 30_000;
/// How long the others have to lead again, ms: sessions, registrations and elections are over by then.
const LEAD_MS: u64 = 8_000;

impl World {
    /// All are in sync and lose power at once, in half of the runs the active controller with them; but for one they come
    /// back, and every partition has to have a leader. Then that one comes back, too, and all is audited.
    pub fn lose_power_and_audit(mut self) -> Coverage {
        let mut brokers = self.wait_until_whole();
        self.rng.shuffle(&mut brokers);
        let away = brokers[self.rng.usize(..brokers.len())];
        for id in brokers {
            let down_ms = if id == away { AWAY_MS } else { self.rng.u64(DOWN_MS) };
            let (done, kept) = (self.rng.usize(..6), self.rng.usize(..4));
            self.crash(id, Crash::PowerLoss { done, kept }, down_ms);
            let between_ms = self.rng.u64(..=BETWEEN_MS);
            self.run_until(self.now_ms + between_ms);
        }
        self.lead_without(away)
    }

    /// All are in sync and told to stop at about the same time. But for one they come back, and every partition has to have a
    /// leader: those that stop last say how far was acknowledged.
    pub fn stop_all_and_audit(mut self) -> Coverage {
        let mut brokers = self.wait_until_whole();
        self.rng.shuffle(&mut brokers);
        let away = brokers[self.rng.usize(..brokers.len())];
        // Until each knows that nobody takes over.
        for _ in 0..5 {
            for id in &brokers {
                if let Some((start, _)) = self.running.get(id) {
                    let start = *start;
                    self.broker(*id, start, |broker, _, _, out| broker.leave(out));
                }
                let between_ms = self.rng.u64(..=STOP_BETWEEN_MS);
                self.run_until(self.now_ms + between_ms);
            }
            self.run_until(self.now_ms + ASK_AGAIN_MS);
        }
        let deadline_ms = self.now_ms + SETTLE_MS;
        while !self.are_all_settled() && self.now_ms < deadline_ms {
            self.run_until(self.now_ms + 50);
        }
        // Else a follower lagged and left meanwhile: its leader never knows how far was acknowledged, and somebody may wait.
        let is_settled = self.are_all_settled();
        self.rng.shuffle(&mut brokers);
        for id in brokers {
            let down_ms = if id == away && is_settled { AWAY_MS } else { self.rng.u64(STOPPED_MS) };
            let start = self.running[&id].0;
            self.stop_in_order(id, start, true, down_ms);
            let between_ms = self.rng.u64(..=STOP_BETWEEN_MS);
            self.run_until(self.now_ms + between_ms);
        }
        if is_settled { self.lead_without(away) } else { self.heal_and_audit() }
    }

    /// True if every member of an ISR knows where it stands in the present leadership, as brokers that stop wait for.
    fn are_all_settled(&self) -> bool {
        self.controller.image().partitions().all(|(tp, _, state)| {
            let replica = |member: &BrokerId| self.running.get(member).and_then(|(_, broker)| broker.replica(tp));
            state.isr.iter().all(|member| {
                replica(member)
                    .is_some_and(|replica| replica.leader_epoch() == Some(state.leader_epoch) && replica.is_settled())
            })
        })
    }

    /// Ends all faults, and waits until all run and are in sync.
    fn wait_until_whole(&mut self) -> Vec<BrokerId> {
        self.end_faults();
        let brokers: Vec<BrokerId> = self.shape.brokers().map(BrokerId).collect();
        for id in &brokers {
            self.later(0, Upcoming::Start(*id));
        }
        self.run_until(self.now_ms + CATCH_UP_MS);
        let deadline_ms = self.now_ms + IN_SYNC_MS;
        while !self.are_all_in_sync() || !self.are_all_heard() || self.is_one_left_behind() {
            assert!(self.now_ms < deadline_ms, "STUCK: not all are in sync");
            self.run_until(self.now_ms + 100);
        }
        brokers
    }

    fn lead_without(mut self, away: BrokerId) -> Coverage {
        if self.rng.bool() {
            let fail_over_ms = self.rng.u64(FAIL_OVER_MS);
            self.run_until(self.now_ms + fail_over_ms);
            self.change_controller();
        }
        self.run_until(self.now_ms + LEAD_MS);
        for (tp, _, state) in self.controller.image().partitions() {
            assert!(state.leader.is_some(), "WAITS: {tp} waits for broker {away}: {state:?}");
        }
        self.heal_and_audit()
    }

    /// True if no session is about to end: messages of before the faults ended may be on their way for longer than a session
    /// lasts. One that is fenced before power fails leaves alone, and rightly so.
    fn are_all_heard(&self) -> bool {
        let oldest_ms = TIMEOUTS.nearly_ms() / 2;
        let is_heard = |broker| self.controller.last_heard(broker).is_some_and(|at| self.now().since(at) < oldest_ms);
        self.shape.brokers().map(BrokerId).all(is_heard)
    }

    fn are_all_in_sync(&self) -> bool {
        let image = self.controller.image();
        image.partitions().all(|(_, _, state)| state.leader.is_some() && state.isr.len() == state.replicas.len())
    }

    /// True if a leader may have decided to do without a member of the ISR that lags: what it proposed may be under way, and who
    /// leaves before power fails lacks what the others acknowledge then.
    fn is_one_left_behind(&self) -> bool {
        let now = self.now();
        self.controller.image().partitions().any(|(tp, _, state)| {
            let leader = state.leader.and_then(|leader| self.running.get(&leader));
            let leads = leader.and_then(|(_, broker)| broker.replica(tp)).filter(|replica| replica.is_leader());
            leads.is_none_or(|leads| {
                leads.followers(now).any(|member| member.in_isr && member.lag_ms.is_none_or(|ms| ms > LAG_MS))
            })
        })
    }
}
