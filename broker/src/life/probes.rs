//! Answers the probes `started`, `ready` and `safe-to-stop-next` from the broker's phase and metadata.
//!
//! Place: one task, from the opening of the data folder on. `live` is the watchdog's (`holdfast_node::watchdog`).
//!
//! 1. The partitions are looked at when the metadata or the phase has changed, and at most once in [`PAUSE`]: a look at
//!    10,000 of them takes about a millisecond.
//! 2. While the session with the controllers is lost no metadata comes, so the last answers stay: a fail-over of the
//!    controllers does not take every broker out of service at once.
//! 3. The phase is read before the image, and set after it: an answer for "serves" is from an image that says so.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use holdfast_node::health::Probe;

use super::safe_to_stop::{self, Blockers};
use crate::here::{context::Context, state::Phase};

/// Shortest time between two looks at the partitions.
const PAUSE: Duration = Duration::from_millis(250);

/// How long `safe-to-stop-next` may be false while the broker serves before the log names what holds it up, and between
/// two such words.
const COMPLAINT: Duration = Duration::from_mins(1);

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>) {
    let mut phases = context.state.phase();
    let mut metadata = context.metadata.watch();
    let mut waiting = Waiting::default();
    loop {
        let phase = *phases.borrow_and_update();
        metadata.borrow_and_update();
        answer(&context, phase, &mut waiting);
        let looked = Instant::now();
        tokio::select! {
            changed = phases.changed() => if changed.is_err() { return },
            changed = metadata.changed() => {
                if changed.is_err() {
                    return;
                }
                // A phase that changes meanwhile is told at once.
                tokio::select! {
                    () = tokio::time::sleep_until(looked + PAUSE) => {}
                    // An end is seen at the next turn.
                    _ = phases.changed() => {}
                }
            }
            () = waiting.complaint_is_due() => {}
            _ = context.state.failed() => return context.state.probes.end(),
        }
    }
}

fn answer(context: &Context, phase: Phase, waiting: &mut Waiting) {
    let probes = &context.state.probes;
    let serves = phase == Phase::Serving;
    probes.set(Probe::Started, phase != Phase::Recovering);
    probes.set(Probe::Ready, serves);
    let blockers = serves.then(|| safe_to_stop::blockers(&context.metadata.look(), context.identity.broker_id));
    let is_safe = blockers.as_ref().is_some_and(|blockers| blockers.count == 0);
    if probes.set(Probe::SafeToStopNext, is_safe) && is_safe {
        tracing::info!("every replica of this broker is back where it is needed: another broker may stop");
    }
    waiting.note(blockers.filter(|_| !is_safe));
}

/// Since when other brokers should not be stopped because of this one.
#[derive(Default)]
struct Waiting {
    next_complaint: Option<Instant>,
}

impl Waiting {
    fn note(&mut self, blockers: Option<Blockers>) {
        let Some(blockers) = blockers else {
            self.next_complaint = None;
            return;
        };
        let now = Instant::now();
        let due = *self.next_complaint.get_or_insert(now + COMPLAINT);
        if now >= due {
            self.next_complaint = Some(now + COMPLAINT);
            tracing::warn!(
                partitions = blockers.count,
                waits_for = blockers.named.join("; "),
                "no other broker should be stopped yet: replicas of this one are still outside their ISR"
            );
        }
    }

    async fn complaint_is_due(&self) {
        match self.next_complaint {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}
