//! The clocks of simulated machines, and what a process makes of them: the trust in the wall clock, and the clock that ages
//! are counted by, as they ship. What the shell does round these stands here: a look now and then, kept for the next process.

use std::mem::{Discriminant, discriminant};

use holdfast_broker::here::time_trust::{Before, Distrusted, Said, TimeTrust};
use holdfast_controller::clocks::majority::{ClockOf, Readings, Verdict};
use holdfast_log::{AgeClock, Counted, KeptJump, Look};
use holdfast_proto::ids::{BrokerId, Millis};

/// By how much a clock may differ from those of most, ms: less than a clock that is wrong, however late a message
/// comes.
const SKEW_MAX_MS: u64 = 700;
/// How long nothing is trusted after a jump, ms.
pub const THAW_MS: u64 = 1_500;
/// How often what the clocks say is kept for the next process, ms.
pub const KEEP_EVERY_MS: u64 = 500;
/// What a clock that is right says at the beginning, ms since 1970.
const BEGINNING_MS: i64 = 1_700_000_000_000;

/// The clocks of one machine. The steady one is the simulated time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// By how much its wall clock is ahead of the truth, ms.
    pub wrong_ms: i64,
    boot: u64,
    booted_at_ms: u64,
}

/// What the active controller hears of wall clocks: each controller's, at once, and the brokers' with their heartbeats.
#[derive(Debug, Default)]
pub struct WallClocks {
    /// By how much each controller's clock is wrong, ms.
    pub wrong_ms: [i64; 3],
    readings: Readings,
}

impl WallClocks {
    /// A broker's heartbeat came.
    pub fn heartbeat(&mut self, now: Millis, from: BrokerId, wall_ms: i64) {
        self.readings.hear(ClockOf::Broker(from), now, wall_ms.unsigned_abs());
    }

    /// What its answer says.
    pub fn judge(&mut self, now: Millis, of: BrokerId, brokers: impl Iterator<Item = BrokerId>) -> Said {
        for (number, wrong_ms) in (0..).zip(self.wrong_ms) {
            let machine = Machine { wrong_ms, ..Machine::default() };
            self.readings.hear(ClockOf::Voter(number), now, machine.wall_ms(now).unsigned_abs());
        }
        let all = (0..3).map(ClockOf::Voter).chain(brokers.map(ClockOf::Broker));
        match self.readings.judge(ClockOf::Broker(of), now, all, SKEW_MAX_MS) {
            Verdict::Agrees(ahead_ms) => Said::Agrees(ahead_ms),
            Verdict::Differs(ahead_ms) => Said::Differs(ahead_ms),
            Verdict::Split => Said::Split,
            Verdict::Unheard => Said::Unheard,
        }
    }

    /// Another controller is active, and has heard nobody.
    pub fn forget(&mut self) {
        self.readings.clear();
    }
}

/// What the clocks said at one moment, as a data folder keeps it.
#[derive(Clone, Copy, Debug)]
pub struct KeptLook {
    boot: u64,
    since_boot_ms: i64,
    wall_ms: i64,
    counted_ms: i64,
    jump: Option<KeptJump>,
}

impl Machine {
    /// The machine starts again, and with it its steady clock.
    pub fn boot(&mut self, now: Millis) {
        self.boot += 1;
        self.booted_at_ms = now.0;
    }

    /// What its wall clock says.
    pub fn wall_ms(&self, now: Millis) -> i64 {
        BEGINNING_MS + now.0 as i64 + self.wrong_ms
    }

    fn since_boot_ms(&self, now: Millis) -> i64 {
        now.0.saturating_sub(self.booted_at_ms) as i64
    }
}

/// What one process knows of the time.
#[derive(Debug)]
pub struct Clocks {
    started: Millis,
    trust: TimeTrust,
    ages: AgeClock,
    keep_at: Millis,
    said: Option<Discriminant<Distrusted>>,
    is_trusted: bool,
}

impl Clocks {
    /// Of a process that begins on this folder.
    pub fn start(now: Millis, machine: &Machine, last: Option<KeptLook>) -> Self {
        let look = Look { wall_ms: machine.wall_ms(now), steady_ms: 0 };
        let on_this_boot = last.filter(|last| last.boot == machine.boot).map(|last| {
            let ago_ms = machine.since_boot_ms(now).saturating_sub(last.since_boot_ms);
            Look { wall_ms: last.wall_ms, steady_ms: look.steady_ms.saturating_sub(ago_ms) }
        });
        let mut trust = TimeTrust::new(SKEW_MAX_MS, THAW_MS);
        if let Some(KeptLook { wall_ms, jump, .. }) = last {
            trust.began(Before { look: on_this_boot, wall_ms, jump }, look);
        }
        let counted = last.map(|last| Counted { counted_ms: last.counted_ms, look: on_this_boot });
        let ages = AgeClock::begin(counted, look);
        Self { started: now, trust, ages, keep_at: now, said: None, is_trusted: false }
    }

    fn steady_ms(&self, now: Millis) -> i64 {
        now.0.saturating_sub(self.started.0) as i64
    }

    fn look_now(&self, now: Millis, machine: &Machine) -> Look {
        Look { wall_ms: machine.wall_ms(now), steady_ms: self.steady_ms(now) }
    }

    /// A controller said whether the wall clock is right.
    pub fn heard(&mut self, now: Millis, machine: &Machine, said: Said) {
        let look = self.look_now(now, machine);
        self.trust.heard(look, said);
    }

    /// Looks at both; what is to be kept for the next process. `told`: why the wall clock is not trusted, if that is new, or
    /// that it is.
    pub fn look(&mut self, now: Millis, machine: &Machine, told: &mut Vec<Option<Distrusted>>) -> Option<KeptLook> {
        let look = self.look_now(now, machine);
        let why = self.trust.look(look).err();
        self.ages.look(look);
        let said = why.as_ref().map(discriminant);
        let is_new = said != self.said || why.is_none() != self.is_trusted;
        if is_new {
            told.push(why);
        }
        (self.said, self.is_trusted) = (said, why.is_none());
        (is_new || now >= self.keep_at).then(|| {
            self.keep_at = now.plus(KEEP_EVERY_MS);
            KeptLook {
                boot: machine.boot,
                since_boot_ms: machine.since_boot_ms(now),
                wall_ms: look.wall_ms,
                counted_ms: self.ages.at(look.steady_ms),
                jump: self.trust.to_keep(look),
            }
        })
    }

    /// The time of an append that is done now, as it is kept, ms.
    pub fn append_ms(&self, now: Millis) -> i64 {
        self.ages.at(self.steady_ms(now))
    }

    /// True if the wall clock was trusted when it was looked at last: retention by time goes on.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }
}
