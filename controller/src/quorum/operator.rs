//! What an operator asks of the quorum: to see it, and to take a controller out of it.

use std::time::Duration;

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
};

use super::{
    removal::{Plan, Refusal, plan_removal},
    seen::{Place, Policy, Seen},
    turn::Turns,
};
use crate::raft::Change;

/// Time for another controller to take the leadership of one that is to be removed.
const HAND_OVER: Duration = Duration::from_secs(1);

/// See the module. Clones share the turns with [`Keeper`](super::keeper::Keeper).
#[derive(Clone)]
pub(crate) struct Operator {
    pub(super) turns: Turns,
}

impl Operator {
    /// The quorum as it is now, and its policy. Refused unless this controller is active.
    pub(crate) fn describe(&self) -> Result<(Seen, Policy), ErrorDetail> {
        self.turns.node.check_active()?;
        // Nothing is changed: no turn is waited for.
        Ok((self.turns.look().1, self.turns.policy()))
    }

    /// Removes a controller, or with `validate_only` says what would become of the quorum, as it was seen. One that is
    /// active itself hands over and answers NOT_CONTROLLER: the next one decides.
    pub(crate) async fn remove(&self, id: u64, validate_only: bool) -> Result<(Plan, Seen, Policy), ErrorDetail> {
        let node = &self.turns.node;
        node.check_active()?;
        let turn = self.turns.take().await?;
        // It may have handed over while it waited for the turn.
        node.check_active()?;
        let (members, seen) = self.turns.look();
        let policy = self.turns.policy();
        let plan = plan_removal(&seen, id, &policy).map_err(|refusal| match refusal {
            Refusal::NotYet(why) => ErrorDetail::new(ErrorCode::Overloaded, format!("{why}; retry in a moment")),
            Refusal::Refused(why) => ErrorDetail::new(ErrorCode::InvalidRequest, why),
        })?;
        if validate_only {
            return Ok((plan, seen, policy));
        }
        if plan.hands_over {
            drop(turn);
            tracing::info!(node_id = id, "this controller is to be removed from the quorum: it hands over first");
            node.step_down(HAND_OVER).await;
            node.check_active()?;
            let message = "the active controller is to be removed, and no other took the leadership in time; retry";
            return Err(ErrorDetail::new(ErrorCode::NotController, message));
        }
        let Place { address, voter, .. } = plan.place.clone();
        let voters = plan.voters_after;
        tracing::warn!(node_id = id, address, voters, "an operator removes a controller from the quorum");
        let change = if voter { Change::RemoveVoter(id) } else { Change::Forget(vec![id]) };
        self.turns.change(turn, members, change).await.map_err(|error| {
            // Of its two entries the first may be written; the next active controller then writes the second.
            let message = format!("{}; it may be later: see `holdfast quorum ls`", error.message);
            ErrorDetail::new(ErrorCode::OutcomeUnknown, message).with_outcome(Outcome::Unknown)
        })?;
        Ok((plan, seen, policy))
    }
}
