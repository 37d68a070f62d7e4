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
//! 2. The wait ends at its deadline, whatever is left, and after [`CONTROLLER_PATIENCE`] without a controller that
//!    answers: without a quorum nothing moves.
//! 3. What is decided here is how long to wait, never what is safe: that is the controller's, by its image.

use std::time::Duration;

use tokio::time::Instant;

use holdfast_metadata::{BrokerRegistration, Image, PartitionState};
use holdfast_proto::ids::BrokerId;

use crate::here::context::Context;

/// How long no controller may answer before the broker leaves without: a fail-over of the controllers takes less.
const CONTROLLER_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at what is left when the metadata does not change.
const LOOK: Duration = Duration::from_secs(1);

/// Shortest time between two calls for what can be moved.
const PACE: Duration = Duration::from_millis(50);

/// What a leave would still harm, in partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Remains {
    /// It still leads.
    led: usize,
    /// Its leave takes the ISR below min.insync.replicas.
    below_min: usize,
    /// The controller can do something about now.
    movable: usize,
    /// Of those that would be harmed: an active replica outside the ISR could still join.
    hopeful: usize,
}

impl Remains {
    fn is_nothing(self) -> bool {
        self.led == 0 && self.below_min == 0
    }
}

/// Leads no more, and is missed nowhere, or `until` has come.
pub(crate) async fn hand_over(context: &Context, until: Instant) {
    let started = Instant::now();
    let elapsed_ms = || started.elapsed().as_millis() as u64;
    let mut told = None;
    loop {
        let patience = until.saturating_duration_since(Instant::now()).min(CONTROLLER_PATIENCE);
        let asked = Instant::now();
        let progress = match context.controllers.controlled_shutdown(&context.identity, false, patience).await {
            Ok(progress) => progress,
            Err(error) => {
                let Remains { led, below_min, .. } = remains(&context.metadata.look(), context.identity.broker_id);
                let elapsed_ms = elapsed_ms();
                return tracing::warn!(%error, led, below_min, elapsed_ms, "leaving without a controller's help");
            }
        };
        let mut indexes = context.metadata.watch();
        let applied = indexes.wait_for(|index| *index >= progress.index);
        if !matches!(tokio::time::timeout_at(until.min(asked + CONTROLLER_PATIENCE), applied).await, Ok(Ok(_))) {
            return tracing::warn!(elapsed_ms = elapsed_ms(), "leaving: the metadata of the hand-over does not come");
        }
        loop {
            let remains = remains(&context.metadata.look(), context.identity.broker_id);
            let Remains { led, below_min, movable, hopeful } = remains;
            if remains.is_nothing() {
                return tracing::info!(
                    elapsed_ms = elapsed_ms(),
                    "handed over: every leader has moved, no ISR misses this broker"
                );
            }
            if movable == 0 && hopeful == 0 {
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
                    hopeful,
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

fn remains(image: &Image, me: BrokerId) -> Remains {
    let mut remains = Remains::default();
    let active = |id: BrokerId| id != me && image.broker(id).is_some_and(BrokerRegistration::is_active);
    for (_, topic, state) in image.partitions_of(me) {
        remains.add(state, me, topic.effective_min_isr(state), active);
    }
    remains
}

impl Remains {
    fn add(&mut self, state: &PartitionState, me: BrokerId, min_isr: usize, active: impl Fn(BrokerId) -> bool) {
        let leads = state.leader == Some(me);
        let is_in_sync = state.isr.contains(&me);
        let below_min = is_in_sync && state.isr.len() <= min_isr;
        let heir = state.isr.iter().any(|member| active(*member));
        self.led += usize::from(leads);
        self.below_min += usize::from(below_min);
        self.movable += usize::from((leads && heir) || (is_in_sync && !below_min && !leads));
        let joins = |replica: &BrokerId| !state.isr.contains(replica) && active(*replica);
        self.hopeful += usize::from((leads || below_min) && state.replicas.iter().any(joins));
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{LeaderEpoch, PartitionEpoch};

    use super::*;

    /// What remains of one partition of brokers 1 (which leaves), 2 and 3, with these active.
    fn of(leader: u32, isr: &[u32], min_isr: usize, active: &[u32]) -> Remains {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect();
        let state = PartitionState {
            leader: Some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(&[1, 2, 3]),
            isr: ids(isr),
            ..PartitionState::default()
        };
        let mut remains = Remains::default();
        remains.add(&state, BrokerId(1), min_isr, |id| id != BrokerId(1) && active.contains(&id.0));
        remains
    }

    #[test]
    fn nothing_is_left_of_what_others_carry() {
        assert!(of(2, &[2, 3], 2, &[2, 3]).is_nothing());
    }

    #[test]
    fn a_leader_moves_to_an_active_member_of_the_isr() {
        assert_eq!(of(1, &[1, 2, 3], 2, &[2, 3]), Remains { led: 1, movable: 1, ..Remains::default() });
    }

    #[test]
    fn a_member_that_can_be_spared_is_taken_out_at_once() {
        assert_eq!(of(2, &[1, 2, 3], 2, &[2, 3]), Remains { movable: 1, ..Remains::default() });
    }

    #[test]
    fn it_waits_for_a_replica_that_may_join() {
        // It leads alone.
        assert_eq!(of(1, &[1], 1, &[2]), Remains { led: 1, below_min: 1, hopeful: 1, movable: 0 });
        // It follows, and the ISR needs it.
        assert_eq!(of(2, &[1, 2], 2, &[2, 3]), Remains { below_min: 1, hopeful: 1, ..Remains::default() });
    }

    #[test]
    fn it_waits_for_nobody_when_all_leave_together() {
        assert_eq!(of(1, &[1], 1, &[]), Remains { led: 1, below_min: 1, ..Remains::default() });
        assert_eq!(of(2, &[1, 2], 2, &[]), Remains { below_min: 1, ..Remains::default() });
        assert_eq!(of(1, &[1, 2, 3], 2, &[]), Remains { led: 1, ..Remains::default() });
    }
}
