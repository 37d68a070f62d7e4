//! How a broker leaves in order: it moves its leaders away, and waits while waiting can help.
//!
//! Place: the first phase of `Broker::stop`; the broker still serves what it leads and follows what it holds.
//!
//! ```text
//!   ask the controller to move leaders and to do without this broker in each ISR that can spare it
//!        ▲                                   │ what is left, by the image
//!        │ something can be moved,           ▼
//!        └─ or a second passed ── wait while a replica outside the ISR may still join
//! ```
//!
//! 1. Waiting helps only where an *active* replica outside the ISR could join: it would lead, or bring the ISR back to
//!    min.insync.replicas. If all brokers leave together nobody is active, and nobody waits.
//! 2. The wait ends at its deadline, whatever is left, and after [`CONTROLLER_TIMEOUT`] without a controller that
//!    answers: without a quorum nothing moves.
//! 3. Where nobody takes over each leadership that has just begun is waited for, at most [`SETTLE`]: all that stop together
//!    hand over to one another before they know of it, and only a leader whose followers have answered knows how far was
//!    acknowledged, which it says when it has stopped.
//! 4. What is left, [`Remains`] counts. What is decided here is how long to wait, never what is safe: that is the
//!    controller's, by its image.

use std::time::Duration;

use tokio::time::Instant;

use holdfast_metadata::Image;

use super::remains::Remains;
use crate::{here::context::Context, partition::OpenReplica};

/// How long no controller may answer before the broker leaves without: a fail-over of the controllers takes less.
const CONTROLLER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at what is left when the metadata does not change.
const LOOK: Duration = Duration::from_secs(1);

/// Shortest time between two calls for what can be moved.
const PACE: Duration = Duration::from_millis(50);

/// How long a leadership that has just begun is waited for: some round trips, and a fetch that waits at its leader.
const SETTLE: Duration = Duration::from_secs(1);

/// Returns once this broker leads nothing and is missed nowhere, or at `until`.
pub(crate) async fn hand_over(context: &Context, until: Instant) {
    let started = Instant::now();
    let elapsed_ms = || started.elapsed().as_millis() as u64;
    let mut told = None;
    loop {
        let timeout = until.saturating_duration_since(Instant::now()).min(CONTROLLER_TIMEOUT);
        let asked = Instant::now();
        let progress = match context.nodes.controllers.controlled_shutdown(&context.identity, false, timeout).await {
            Ok(progress) => progress,
            Err(error) => {
                let Remains { led, below_min, .. } = Remains::of(&context.metadata.look(), context.identity.broker_id);
                let elapsed_ms = elapsed_ms();
                return tracing::warn!(%error, led, below_min, elapsed_ms, "leaving without a controller's help");
            }
        };
        let mut indexes = context.metadata.watch();
        let applied = indexes.wait_for(|index| *index >= progress.index);
        if !matches!(tokio::time::timeout_at(until.min(asked + CONTROLLER_TIMEOUT), applied).await, Ok(Ok(_))) {
            return tracing::warn!(elapsed_ms = elapsed_ms(), "leaving: the metadata of the hand-over does not come");
        }
        loop {
            let remains = Remains::of(&context.metadata.look(), context.identity.broker_id);
            let Remains { led, below_min, movable, could_join } = remains;
            if remains.is_nothing() {
                return tracing::info!(
                    elapsed_ms = elapsed_ms(),
                    "handed over: every leader has moved, no ISR misses this broker"
                );
            }
            if movable == 0 && could_join == 0 {
                settle(context, until.min(Instant::now() + SETTLE)).await;
                return tracing::warn!(
                    led,
                    below_min,
                    elapsed_ms = elapsed_ms(),
                    "handed over what others can take: some partitions stay without leader or below min.insync.replicas"
                );
            }
            if Instant::now() >= until {
                return tracing::warn!(
                    led,
                    below_min,
                    elapsed_ms = elapsed_ms(),
                    "handing over took too long: leaving as it is"
                );
            }
            if told.replace((led, below_min)) != Some((led, below_min)) {
                tracing::info!(
                    led,
                    below_min,
                    could_join,
                    elapsed_ms = elapsed_ms(),
                    "handing over: waiting for other replicas"
                );
            }
            let again = if movable > 0 { asked + PACE } else { asked + LOOK };
            if Instant::now() >= again {
                break;
            }
            // Either is a reason to look again.
            let _ = tokio::time::timeout_at(again.min(until), indexes.changed()).await;
        }
    }
}

/// Returns once every leadership in which this broker is in sync with others is known to both ends, or at `until`.
async fn settle(context: &Context, until: Instant) {
    let own = context.identity.broker_id;
    let is_settled = |replica: &OpenReplica, image: &Image| {
        let state = image.partition(replica.id).filter(|state| state.leader.is_some() && state.isr.len() > 1);
        let Some(state) = state.filter(|state| state.isr.contains(&own)) else { return true };
        let view = replica.view();
        view.leader_epoch == Some(state.leader_epoch) && view.is_settled
    };
    let are_all_settled = || {
        let image = context.metadata.look();
        context.partitions.all().iter().all(|replica| is_settled(replica, &image))
    };
    while !are_all_settled() && Instant::now() < until {
        tokio::time::sleep(PACE).await;
    }
}
