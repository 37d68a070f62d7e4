//! The quorum as the active controller sees it, and taking a controller out of it.

use holdfast_proto::{
    detail::ErrorDetail,
    v1::{DescribeQuorumResponse, QuorumMember, RemoveControllerRequest, RemoveControllerResponse},
};

use super::edge::AdminEdge;
use crate::quorum::seen::{Place, Policy, Seen};

impl AdminEdge {
    /// Voters and learners, with how far each is.
    pub(super) fn quorum(&self) -> Result<DescribeQuorumResponse, ErrorDetail> {
        let (seen, policy) = self.operator.describe()?;
        Ok(DescribeQuorumResponse {
            active_controller: seen.own_id,
            term: self.node.role().borrow().term,
            last_log_index: seen.last_log,
            members: seen.places.iter().map(|place| member(&seen, place, &policy)).collect(),
            changing: seen.joint,
        })
    }

    /// Takes a controller out, or says what would become of the quorum.
    pub(super) async fn remove_member(
        &self,
        request: RemoveControllerRequest,
    ) -> Result<RemoveControllerResponse, ErrorDetail> {
        let (plan, seen, policy) = self.operator.remove(request.node_id, request.validate_only).await?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(RemoveControllerResponse {
            removed: Some(member(&seen, &plan.place, &policy)),
            voters_before: count(plan.voters_before),
            voters_after: count(plan.voters_after),
            alive_after: count(plan.alive_after),
            is_active: plan.hands_over,
        })
    }
}

fn member(seen: &Seen, place: &Place, policy: &Policy) -> QuorumMember {
    let is_own = place.id == seen.own_id;
    let matched = if is_own { Some(seen.last_log) } else { place.matched };
    QuorumMember {
        node_id: place.id,
        address: place.address.clone(),
        voter: place.voter,
        heard_ms_ago: if is_own { Some(0) } else { place.heard_ms_ago },
        lag_entries: matched.map(|matched| seen.last_log.saturating_sub(matched)),
        alive: seen.is_alive(place, policy),
        in_peers: policy.peers.contains(&place.address),
    }
}
