//! Looks at the clocks now and then, and tells the logs whether the wall clock is trusted.

use std::sync::Arc;

use holdfast_log::{ClockLook, steady, wall_clock};
use holdfast_proto::ids::{Millis, TimestampMs};

use crate::here::{
    context::Context,
    time_trust::{Distrusted, Look, TimeTrust},
};

/// How often what the clocks say is kept for the next process, ms.
const KEEP_EVERY_MS: u64 = 60_000;

/// What the clocks say now.
pub(crate) fn now() -> Look {
    Look { wall_ms: wall_clock().0, steady_ms: steady().0 }
}

/// The trust of a process that begins on this folder.
pub(super) fn begin(data_dir: &holdfast_log::DataDir, skew_max_ms: u64, thaw_ms: u64) -> TimeTrust {
    let mut trust = TimeTrust::new(skew_max_ms, thaw_ms);
    let (look, machine) = (now(), ClockLook::now());
    if let Some(last) = data_dir.last_clock_look() {
        let is_same_boot = last.boot_id == machine.boot_id && !machine.boot_id.is_empty();
        // In this process' steady time.
        let ago_ms = machine.since_boot_ms.saturating_sub(last.since_boot_ms);
        let before = Look { wall_ms: last.wall_ms, steady_ms: look.steady_ms.saturating_sub(ago_ms) };
        trust.began(before, is_same_boot, look);
    }
    trust
}

/// What was said last, and when what the clocks say was kept last.
#[derive(Debug, Default)]
pub(super) struct Looks {
    said: Option<Distrusted>,
    is_begun: bool,
    keep_at: Option<Millis>,
}

impl Looks {
    /// Looks, says what has changed, and lets the logs know.
    pub(super) async fn look(&mut self, context: &Arc<Context>) {
        let (now, look) = (context.clock.now(), now());
        let verdict = context.time_trust.lock().look(look);
        let trusted = verdict.is_ok().then_some(TimestampMs(look.wall_ms));
        context.logs.data_dir.disk().time().trust(trusted);
        let why = verdict.err();
        if why.map(kind) != self.said.map(kind) || !self.is_begun {
            self.tell(context, why);
        }
        (self.said, self.is_begun) = (why, true);
        if self.keep_at.is_none_or(|at| now >= at) {
            self.keep_at = Some(now.plus(KEEP_EVERY_MS));
            let data_dir = Arc::clone(&context.logs.data_dir);
            let kept = tokio::task::spawn_blocking(move || data_dir.keep_clock_look(&ClockLook::now())).await;
            if let Ok(Err(error)) = kept {
                tracing::warn!(%error, "what the clocks say was not kept");
            }
        }
    }

    fn tell(&self, context: &Context, why: Option<Distrusted>) {
        let (thaw_ms, skew_max_ms) = (context.config.clock_thaw_ms, context.config.clock_skew_max_ms);
        match why {
            None if self.is_begun => tracing::info!("the wall clock is trusted: retention by time goes on"),
            None => {}
            Some(Distrusted::Unconfirmed) => {
                tracing::info!("retention by time waits for a controller to say what time it is");
            }
            Some(Distrusted::Jumped(by_ms)) => tracing::warn!(
                by_ms,
                thaw_ms,
                "the wall clock jumped: retention by time stands still until it agrees with the controllers and has not \
                 jumped for clock_thaw_ms"
            ),
            Some(Distrusted::Differs(by_ms)) => tracing::warn!(
                by_ms,
                skew_max_ms,
                "the wall clock differs from the active controller's: retention by time stands still. Set the clock that is \
                 wrong"
            ),
        }
    }
}

/// Which reason it is, whatever the numbers.
fn kind(why: Distrusted) -> std::mem::Discriminant<Distrusted> {
    std::mem::discriminant(&why)
}
