//! What this controller heard of clocks while it is active. In memory alone: another one hears it within a heartbeat.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use holdfast_proto::{
    ids::{BrokerId, Millis},
    v1::{ClockDistrust, ClockDistrustReason, ClockVerdict},
};

use super::majority::{ClockOf, Readings, Verdict};

/// For how long a controller is active before it tells that too few clocks were heard, ms: until then all have a few
/// heartbeats to say what time it is, and the brokers to hear what comes of it.
const GRACE_MS: u64 = 15_000;

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Clocks {
    started: Instant,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    /// Of the leadership that the readings are of.
    term: u64,
    readings: Readings,
    /// Why brokers do not trust their clock, as each said last.
    distrust: BTreeMap<BrokerId, ClockDistrust>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self { started: Instant::now(), table: Arc::default() }
    }
}

impl Clocks {
    /// What the wall clock of this machine says, ms since 1970. Nothing is decided by it alone.
    pub fn wall_ms() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The steady clock, by which readings are taken.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A controller answered with what its wall clock says, ms; 0: it did not say. It was asked at `asked`.
    pub fn answered(&self, controller: u64, asked: Millis, wall_ms: u64) {
        if wall_ms > 0 {
            // Half of the way is there, about.
            let at = Millis(asked.0.midpoint(self.now().0));
            self.table.lock().readings.hear(ClockOf::Voter(controller), at, wall_ms);
        }
    }

    /// A broker's heartbeat, in the leadership of this term, says what its wall clock says, ms (0: nothing), and why it does
    /// not trust it.
    pub fn heartbeat(&self, broker_id: BrokerId, term: u64, wall_ms: u64, distrust: Option<ClockDistrust>) {
        let now = self.now();
        let mut table = self.table.lock();
        table.follow(term);
        if wall_ms > 0 {
            table.readings.hear(ClockOf::Broker(broker_id), now, wall_ms);
        }
        match distrust {
            Some(distrust) => table.distrust.insert(broker_id, distrust),
            None => table.distrust.remove(&broker_id),
        };
    }

    /// How a broker's clock is to those of most, as the answer to its heartbeat has it, with by how much it is ahead, ms.
    pub fn verdict(
        &self,
        broker_id: BrokerId,
        own: u64,
        all: impl Iterator<Item = ClockOf>,
        tolerance_ms: u64,
    ) -> (ClockVerdict, i64) {
        let now = self.now();
        let wall_ms = Self::wall_ms();
        let mut table = self.table.lock();
        table.readings.look(now, wall_ms);
        table.readings.hear(ClockOf::Voter(own), now, wall_ms);
        match table.readings.judge(ClockOf::Broker(broker_id), now, all, tolerance_ms) {
            Verdict::Agrees(ahead_ms) => (ClockVerdict::Agrees, ahead_ms),
            Verdict::Differs(ahead_ms) => (ClockVerdict::Differs, ahead_ms),
            Verdict::Split => (ClockVerdict::Split, 0),
            Verdict::Unheard => (ClockVerdict::Unheard, 0),
        }
    }

    /// Why a broker does not trust its clock, if it said so in the leadership of this term, in which this controller has been
    /// active for so long, ms. That too few clocks were heard is no news before 15 s of it.
    pub fn distrust_of(&self, broker_id: BrokerId, term: u64, active_ms: u64) -> Option<ClockDistrust> {
        let table = self.table.lock();
        let is_of_start = |reason| matches!(reason, ClockDistrustReason::Unheard | ClockDistrustReason::Unconfirmed);
        let told = table.distrust.get(&broker_id).copied().filter(|_| table.term == term);
        told.filter(|distrust| active_ms >= GRACE_MS || !is_of_start(distrust.reason()))
    }

    /// For how long a controller has to be active until [`Self::distrust_of`] tells everything, ms.
    pub const fn grace_ms() -> u64 {
        GRACE_MS
    }
}

impl Table {
    /// Forgets what was heard in another leadership: this controller may have stood still between.
    fn follow(&mut self, term: u64) {
        if self.term != term {
            self.term = term;
            self.readings.clear();
            self.distrust.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE_MS: u64 = 60_000;
    const BROKER: BrokerId = BrokerId(4);

    fn verdict(clocks: &Clocks) -> ClockVerdict {
        let all = [ClockOf::Voter(1), ClockOf::Voter(2), ClockOf::Voter(3), ClockOf::Broker(BROKER)];
        clocks.verdict(BROKER, 1, all.into_iter(), TOLERANCE_MS).0
    }

    #[test]
    fn what_is_heard_counts_in_its_leadership_alone() {
        let clocks = Clocks::default();
        clocks.heartbeat(BROKER, 7, Clocks::wall_ms(), None);
        assert_eq!(verdict(&clocks), ClockVerdict::Unheard, "two of four");
        clocks.answered(2, clocks.now(), 0);
        assert_eq!(verdict(&clocks), ClockVerdict::Unheard, "an earlier build does not say");
        clocks.answered(2, clocks.now(), Clocks::wall_ms());
        assert_eq!(verdict(&clocks), ClockVerdict::Agrees);
        clocks.heartbeat(BROKER, 7, Clocks::wall_ms() + 2 * TOLERANCE_MS, None);
        clocks.answered(3, clocks.now(), Clocks::wall_ms());
        assert_eq!(verdict(&clocks), ClockVerdict::Differs);
        clocks.heartbeat(BROKER, 8, Clocks::wall_ms(), None);
        assert_eq!(verdict(&clocks), ClockVerdict::Unheard, "another leadership");
    }

    #[test]
    fn what_a_broker_says_of_its_trust_is_kept_until_it_says_else() {
        let clocks = Clocks::default();
        let reason = ClockDistrustReason::Jumped.into();
        let jumped = ClockDistrust { reason, by_ms: -5, left_ms: 3 };
        clocks.heartbeat(BROKER, 7, 0, Some(jumped));
        assert_eq!(clocks.distrust_of(BROKER, 7, 0), Some(jumped));
        assert_eq!(clocks.distrust_of(BROKER, 8, 0), None);
        clocks.heartbeat(BROKER, 7, 0, None);
        assert_eq!(clocks.distrust_of(BROKER, 7, GRACE_MS), None);
    }

    #[test]
    fn that_too_few_were_heard_is_no_news_as_a_leadership_begins() {
        let clocks = Clocks::default();
        for reason in [ClockDistrustReason::Unheard, ClockDistrustReason::Unconfirmed] {
            let distrust = ClockDistrust { reason: reason.into(), by_ms: 0, left_ms: 0 };
            clocks.heartbeat(BROKER, 7, 0, Some(distrust));
            assert_eq!(clocks.distrust_of(BROKER, 7, GRACE_MS - 1), None);
            assert_eq!(clocks.distrust_of(BROKER, 7, GRACE_MS), Some(distrust));
        }
    }
}
