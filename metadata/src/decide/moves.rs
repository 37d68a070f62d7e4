//! Replicas move from broker to broker (KIP-455).
//!
//! ```text
//!  replicas 1,2,3 ── to 4,2,3 ──▶ replicas 4,2,3,1   adding 4   removing 1      (leader, ISR, leader epoch stay)
//!                                     │        │
//!                      4 is in sync ──┘        └── cancelled
//!                  replicas 4,2,3                  replicas 2,3,1
//! ```
//!
//! A move only says where replicas are to be. The new ones copy from the leader as any follower does; the leader's
//! proposal that brings the last of them into the ISR ends the move, see `change`. Until then nothing is taken away, so
//! that a move makes no partition less safe or less available than it was, and each step is one record.
//!
//! 1. min.insync.replicas counts during a move as it did before it: a move to more replicas asks for more only at its end.
//! 2. A move is refused if its end would lower what counts as min.insync.replicas.
//! 3. A cancelled or replaced move drops the replicas that it brought in. If they are in sync, eligible or not believed,
//!    enough others have to be in sync: else it is refused with NOT_ENOUGH_REPLICAS and changes nothing. Without a leader none is dropped
//!    (LEADER_NOT_AVAILABLE): where the others are lost, it holds more than anybody.
//! 4. A fenced broker may be a target, as it may come back; one that is unknown, about to stop or being drained may not.
//!    Replicas that a partition has already may stay wherever they are.
//! 5. One that holds a stray of the partition from before a recovery of the controllers may not be a target: what the leader does
//!    not hold would be cut off it.

use std::collections::BTreeSet;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, TopicPartition},
};

use super::{change::PartitionChange, election::Standings};
use crate::{
    command::{AlterReplicas, ReplicaMove},
    image::{Image, Topic},
    limits::{MAX_MOVES, MAX_REPLICATION_FACTOR},
    record::{PartitionState, Record},
    response::{Decision, Rejection, Response},
};

/// Refuses the whole command if it names too many moves.
pub(crate) fn acceptable(command: &AlterReplicas) -> Result<(), Rejection> {
    if command.moves.len() > MAX_MOVES {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("{} moves in one request; at most {MAX_MOVES}", command.moves.len()),
        ));
    }
    Ok(())
}

/// Decides each move alone. A refusal does not name its partition: it stands at the place of its move in the answer, and
/// who shows it names the partition.
pub(crate) fn alter_replicas(image: &Image, command: &AlterReplicas) -> Decision {
    acceptable(command)?;
    let limit = command.move_bytes_per_second.filter(|limit| *limit != image.move_bytes_per_second());
    let mut records: Vec<Record> =
        limit.map(|bytes_per_second| Record::MoveLimit { bytes_per_second }).into_iter().collect();
    let standings = Standings::of(image);
    let mut named = BTreeSet::new();
    let mut results = Vec::with_capacity(command.moves.len());
    for wanted in &command.moves {
        let tp = TopicPartition { topic_id: wanted.topic_id, partition: wanted.partition };
        let result = if named.insert(tp) {
            alter_one(image, &standings, wanted)
        } else {
            Err(Rejection::new(ErrorCode::InvalidRequest, "named twice in the request"))
        };
        results.push(result.map(|state| {
            let (topic_id, partition) = (tp.topic_id, tp.partition);
            records.extend(state.map(|state| Record::Partition { topic_id, partition, state }));
        }));
    }
    Ok((records, Response::ReplicasAltered { results }))
}

/// The state with the move begun, or `None` if it is so already.
fn alter_one(
    image: &Image,
    standings: &Standings<'_>,
    wanted: &ReplicaMove,
) -> Result<Option<PartitionState>, Rejection> {
    let topic = image
        .topic(wanted.topic_id)
        .ok_or_else(|| Rejection::new(ErrorCode::UnknownTopicId, format!("unknown topic id '{}'", wanted.topic_id)))?;
    let state = topic.partition(wanted.partition).ok_or_else(|| {
        let message = format!("topic {} has no partition {}", topic.name(), wanted.partition);
        Rejection::new(ErrorCode::UnknownTopicOrPartition, message)
    })?;
    if state.unsettled {
        let message = "it has had no leader since the controllers were recovered, and who holds what is not known: move it once \
                       it is led";
        return Err(Rejection::new(ErrorCode::LeaderNotAvailable, message));
    }
    let original = state.original();
    let target = if !wanted.new_replicas.is_empty() {
        check_target(image, topic, state, &wanted.new_replicas)
            .map_err(|why| Rejection::new(ErrorCode::InvalidReplicaAssignment, why))?;
        &wanted.new_replicas
    } else if state.is_moving() {
        &original
    } else {
        return Err(Rejection::new(
            ErrorCode::NoReassignmentInProgress,
            "no move is under way that could be cancelled",
        ));
    };
    let ends: Vec<BrokerId> = state.adding.iter().copied().filter(|replica| !target.contains(replica)).collect();
    if state.leader.is_none() && !ends.is_empty() {
        let message = format!(
            "nobody leads it, and the replicas that the move under way brought to brokers {} may hold what nobody else does: \
             end the move once it is led",
            list(&ends)
        );
        return Err(Rejection::new(ErrorCode::LeaderNotAvailable, message));
    }
    let mut change = PartitionChange::new(standings, topic, state);
    if !change.reassign(target) {
        let message = format!(
            "replicas of the move under way are needed, or were until they were not believed any more, as fewer than \
             min.insync.replicas of those that stay are in sync; in sync: {}; to stay: {}",
            list(&state.isr),
            list(target)
        );
        return Err(Rejection::new(ErrorCode::NotEnoughReplicas, message));
    }
    change.finish()
}

fn list(brokers: &[BrokerId]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Everything that is wrong with the replicas that a partition is to have.
fn check_target(image: &Image, topic: &Topic, state: &PartitionState, target: &[BrokerId]) -> Result<(), String> {
    let original = state.original();
    let mut problems = Vec::new();
    let mut distinct = BTreeSet::new();
    let twice: BTreeSet<BrokerId> = target.iter().copied().filter(|id| !distinct.insert(*id)).collect();
    problems.extend(twice.iter().map(|id| format!("broker {id} is named twice")));
    if target.len() > MAX_REPLICATION_FACTOR as usize {
        problems.push(format!("{} replicas are more than {MAX_REPLICATION_FACTOR}", target.len()));
    }
    let min_isr = topic.config().effective_min_isr(original.len());
    // Whether the brokers are too few can be said only once it is clear which ones are meant.
    if twice.is_empty() && distinct.len() < min_isr {
        let plural = if distinct.len() == 1 { "" } else { "s" };
        problems.push(format!("min.insync.replicas is {min_isr}, and {} broker{plural} named", distinct.len()));
    }
    for id in distinct.into_iter().filter(|id| !original.contains(id)) {
        match image.broker(id) {
            None => problems.push(format!("broker {id} is not registered")),
            Some(broker) if broker.shutting_down => problems.push(format!("broker {id} is shutting down")),
            Some(_) if image.is_draining(id) => problems.push(format!("broker {id} is being drained")),
            Some(_) => {}
        }
    }
    let strays = state.strays().map(|claim| claim.broker_id).filter(|id| target.contains(id));
    problems.extend(strays.map(|id| {
        format!(
            "broker {id} holds a log of it from before the controllers were recovered, which may hold what nobody else does and \
             would be cut to what the leader holds: move that folder away first, and start the broker again"
        )
    }));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
