//! Moves of replicas as messages.

use holdfast_metadata::plan::PlanGoal;
use holdfast_metadata_wire::records::ids;
use holdfast_proto::{
    convert::{Error, partition_error},
    ids::{BrokerId, MetadataIndex, PartitionIndex},
    v1,
};

use crate::services::admin::moves::{ChangedReplicas, Move, MovePlan, ReplicaChange};

/// What the plan that a request asks for has to reach.
pub(crate) fn goal(request: v1::PlanMovesRequest) -> PlanGoal {
    PlanGoal { drain: request.drain_brokers.into_iter().map(BrokerId).collect(), only_drain: request.only_drain }
}

/// The request for a plan.
pub(crate) fn plan_request(goal: PlanGoal) -> v1::PlanMovesRequest {
    let drain_brokers = goal.drain.into_iter().map(|broker_id| broker_id.0).collect();
    v1::PlanMovesRequest { drain_brokers, only_drain: goal.only_drain }
}

/// The answer with a plan.
pub(crate) fn plan_answer(plan: MovePlan) -> v1::PlanMovesResponse {
    v1::PlanMovesResponse {
        moves: plan.moves.into_iter().map(message).collect(),
        index: plan.index.0,
        problems: plan.problems,
    }
}

/// The plan that an answer holds.
pub(crate) fn plan(answer: v1::PlanMovesResponse) -> MovePlan {
    MovePlan {
        moves: answer.moves.into_iter().map(from_message).collect(),
        problems: answer.problems,
        index: MetadataIndex(answer.index),
    }
}

/// The moves that a request asks for.
pub(crate) fn change(request: v1::AlterReplicasRequest) -> ReplicaChange {
    ReplicaChange {
        moves: request.moves.into_iter().map(from_message).collect(),
        move_bytes_per_second: request.move_bytes_per_second,
    }
}

/// The request for moves.
pub(crate) fn alter_request(change: ReplicaChange) -> v1::AlterReplicasRequest {
    v1::AlterReplicasRequest {
        moves: change.moves.into_iter().map(message).collect(),
        move_bytes_per_second: change.move_bytes_per_second,
    }
}

/// The answer with what became of the moves.
pub(crate) fn alter_answer(changed: ChangedReplicas) -> v1::AlterReplicasResponse {
    let result = |result: Result<(), _>| v1::AlterReplicasResult { error: result.err().map(partition_error) };
    v1::AlterReplicasResponse { results: changed.results.into_iter().map(result).collect(), index: changed.index.0 }
}

/// What became of so many moves, as an answer says.
pub(crate) fn changed(answer: v1::AlterReplicasResponse, asked: usize) -> Result<ChangedReplicas, Error> {
    if answer.results.len() != asked {
        return Err(Error::OutOfRange { field: "results.len", value: answer.results.len() as i128 });
    }
    let result = |result: v1::AlterReplicasResult| result.error.map_or(Ok(()), |error| Err(error.into()));
    Ok(ChangedReplicas {
        results: answer.results.into_iter().map(result).collect(),
        index: MetadataIndex(answer.index),
    })
}

/// An index that no partition has is refused by the controller, for that move alone.
fn from_message(message: v1::ReplicaMove) -> Move {
    let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
    Move {
        topic: message.topic,
        partition: PartitionIndex(message.partition),
        old_replicas: ids(message.old_replicas),
        new_replicas: ids(message.new_replicas),
    }
}

fn message(wanted: Move) -> v1::ReplicaMove {
    v1::ReplicaMove {
        topic: wanted.topic,
        partition: wanted.partition.0,
        old_replicas: ids(&wanted.old_replicas),
        new_replicas: ids(&wanted.new_replicas),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

    use super::*;

    fn moves() -> Vec<v1::ReplicaMove> {
        let one = |partition, new_replicas| v1::ReplicaMove {
            topic: "t".to_owned(),
            partition,
            old_replicas: vec![1, 2],
            new_replicas,
        };
        vec![one(u32::MAX, vec![3, 1]), one(0, Vec::new())]
    }

    #[test]
    fn requests_and_answers_that_pass_through_come_out_as_they_were() {
        let request = v1::PlanMovesRequest { drain_brokers: vec![1, 2], only_drain: true };
        assert_eq!(plan_request(goal(request.clone())), request);
        let answer = v1::PlanMovesResponse { moves: moves(), index: 3, problems: vec!["stuck".to_owned()] };
        assert_eq!(plan_answer(plan(answer.clone())), answer);
        for move_bytes_per_second in [None, Some(0), Some(7)] {
            let request = v1::AlterReplicasRequest { moves: moves(), move_bytes_per_second };
            assert_eq!(alter_request(change(request.clone())), request);
        }
        let refused = Some(partition_error(ErrorDetail::new(ErrorCode::InvalidRequest, "no")));
        let results = vec![v1::AlterReplicasResult { error: None }, v1::AlterReplicasResult { error: refused }];
        let answer = v1::AlterReplicasResponse { results, index: 5 };
        assert_eq!(alter_answer(changed(answer.clone(), 2).unwrap()), answer);
        assert!(changed(answer, 1).is_err(), "a result without a move");
    }
}
