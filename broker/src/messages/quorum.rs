//! The controllers' quorum as messages.

use std::time::Duration;

use holdfast_proto::{
    convert::{Error, required},
    ids::ControllerId,
    v1,
};

use crate::services::admin::quorum::{QuorumMember, QuorumStatus, Removal, RemovalPlan};

/// The answer with the quorum.
pub(crate) fn describe_answer(status: QuorumStatus) -> v1::DescribeQuorumResponse {
    v1::DescribeQuorumResponse {
        active_controller: status.active_controller.0,
        term: status.term,
        last_log_index: status.last_log_index,
        members: status.members.into_iter().map(member_message).collect(),
        changing: status.changing,
    }
}

/// The quorum that an answer holds.
pub(crate) fn status(answer: v1::DescribeQuorumResponse) -> QuorumStatus {
    QuorumStatus {
        active_controller: ControllerId(answer.active_controller),
        term: answer.term,
        last_log_index: answer.last_log_index,
        members: answer.members.into_iter().map(member).collect(),
        changing: answer.changing,
    }
}

/// The removal that a request asks for.
pub(crate) const fn removal(request: v1::RemoveControllerRequest) -> Removal {
    Removal { id: ControllerId(request.node_id), validate_only: request.validate_only }
}

/// The request for a removal.
pub(crate) const fn removal_request(removal: Removal) -> v1::RemoveControllerRequest {
    v1::RemoveControllerRequest { node_id: removal.id.0, validate_only: removal.validate_only }
}

/// The answer with what becomes of the quorum.
pub(crate) fn removal_answer(plan: RemovalPlan) -> v1::RemoveControllerResponse {
    v1::RemoveControllerResponse {
        removed: Some(member_message(plan.removed)),
        voters_before: plan.voters_before,
        voters_after: plan.voters_after,
        alive_after: plan.alive_after,
        is_active: plan.is_active,
    }
}

/// What becomes of the quorum, by an answer.
pub(crate) fn removed(answer: v1::RemoveControllerResponse) -> Result<RemovalPlan, Error> {
    Ok(RemovalPlan {
        removed: member(required(answer.removed, "removed")?),
        voters_before: answer.voters_before,
        voters_after: answer.voters_after,
        alive_after: answer.alive_after,
        is_active: answer.is_active,
    })
}

fn member(message: v1::QuorumMember) -> QuorumMember {
    QuorumMember {
        id: ControllerId(message.node_id),
        address: message.address,
        voter: message.voter,
        heard_ago: message.heard_ms_ago.map(Duration::from_millis),
        lag_entries: message.lag_entries,
        alive: message.alive,
        in_peers: message.in_peers,
    }
}

fn member_message(member: QuorumMember) -> v1::QuorumMember {
    v1::QuorumMember {
        node_id: member.id.0,
        address: member.address,
        voter: member.voter,
        heard_ms_ago: member.heard_ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        lag_entries: member.lag_entries,
        alive: member.alive,
        in_peers: member.in_peers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_travels_comes_back_as_it_was() {
        let members = [(Some(1_500), Some(7), true), (None, None, false)].map(|(heard_ms_ago, lag_entries, alive)| {
            let address = "c:9095".to_owned();
            v1::QuorumMember { node_id: 5, address, voter: true, heard_ms_ago, lag_entries, alive, in_peers: !alive }
        });
        let quorum = v1::DescribeQuorumResponse {
            active_controller: 5,
            term: 3,
            last_log_index: 90,
            members: members.to_vec(),
            changing: true,
        };
        assert_eq!(describe_answer(status(quorum.clone())), quorum);
        let request = v1::RemoveControllerRequest { node_id: 9, validate_only: true };
        assert_eq!(removal_request(removal(request)), request);
        let plan = v1::RemoveControllerResponse {
            removed: Some(members[0].clone()),
            voters_before: 5,
            voters_after: 4,
            alive_after: 3,
            is_active: true,
        };
        assert_eq!(removed(plan.clone()).map(removal_answer), Ok(plan));
        assert!(removed(v1::RemoveControllerResponse::default()).is_err(), "nobody leaves");
    }
}
