//! Looks at the clocks now and then, keeps what they say, and tells whether the wall clock is trusted.

use std::sync::Arc;

use holdfast_log::look;
use holdfast_proto::ids::Millis;

use crate::here::{
    context::Context,
    time_trust::{Before, Distrusted, TimeTrust},
};

/// How often what the clocks say is kept for the next process, ms.
const KEEP_EVERY_MS: u64 = 60_000;

/// The trust of a process that begins on this folder.
pub(super) fn begin(data_dir: &holdfast_log::DataDir, skew_max_ms: u64, thaw_ms: u64) -> TimeTrust {
    let mut trust = TimeTrust::new(skew_max_ms, thaw_ms);
    if let Some(last) = data_dir.last_clock_look() {
        let before = Before { look: last.on_this_boot(), wall_ms: last.wall_ms(), jump: last.jump() };
        trust.began(before, look());
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
    /// Looks, and says what has changed. True while the wall clock is trusted.
    pub(super) async fn look(&mut self, context: &Arc<Context>) -> bool {
        let (now, look) = (context.clock.now(), look());
        let (why, jump) = {
            let mut trust = context.time_trust.lock();
            (trust.look(look).err(), trust.to_keep(look))
        };
        context.logs.data_dir.disk().ages().look();
        let is_new = why.map(kind) != self.said.map(kind) || !self.is_begun;
        if is_new {
            self.tell(context, why);
        }
        (self.said, self.is_begun) = (why, true);
        // At once what must not be forgotten.
        if is_new || self.keep_at.is_none_or(|at| now >= at) {
            self.keep_at = Some(now.plus(KEEP_EVERY_MS));
            let data_dir = Arc::clone(&context.logs.data_dir);
            let kept = tokio::task::spawn_blocking(move || data_dir.keep_clock_look(jump)).await;
            if let Ok(Err(error)) = kept {
                tracing::warn!(%error, "what the clocks say was not kept");
            }
        }
        why.is_none()
    }

    fn tell(&self, context: &Context, why: Option<Distrusted>) {
        let (thaw_ms, skew_max_ms) = (context.config.clock_thaw_ms, context.config.clock_skew_max_ms);
        match why {
            None if self.is_begun => tracing::info!("the wall clock is trusted: retention by time goes on"),
            None => {}
            Some(Distrusted::Unconfirmed) => {
                tracing::info!("retention by time waits for a controller to say whether the wall clock is right");
            }
            Some(Distrusted::Started { left_ms }) => tracing::info!(
                left_ms,
                thaw_ms,
                "the machine was started again: retention by time stands still until the wall clock agrees with the \
                 controllers and has not jumped for clock_thaw_ms, at the earliest in left_ms"
            ),
            Some(Distrusted::Jumped { by_ms, left_ms }) => tracing::warn!(
                by_ms,
                left_ms,
                thaw_ms,
                "the wall clock jumped: retention by time stands still until it agrees with the controllers and has not \
                 jumped for clock_thaw_ms, at the earliest in left_ms"
            ),
            Some(Distrusted::Differs(by_ms)) => tracing::warn!(
                by_ms,
                skew_max_ms,
                "the wall clock differs from those of most controllers and brokers: retention by time stands still. Set the \
                 clock that is wrong"
            ),
            Some(Distrusted::Split) => tracing::warn!(
                "the wall clocks of controllers and brokers differ, and no majority of them says about the same: retention by \
                 time stands still. Set those that are wrong"
            ),
            Some(Distrusted::Unheard) => tracing::warn!(
                "half of the controllers and brokers or more are not heard, or are of an earlier build: retention by time \
                 stands still until most of them say that the wall clock is right. Start them, upgrade them, or unregister \
                 the brokers that are gone for good"
            ),
        }
    }
}

/// Which reason it is, whatever the numbers.
fn kind(why: Distrusted) -> std::mem::Discriminant<Distrusted> {
    std::mem::discriminant(&why)
}
