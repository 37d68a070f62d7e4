//! ISR changes that leaders propose (KIP-497). One that brings the last replica of a move in sync also ends the move.
//!
//! A proposal is checked against everything that may have passed it on its way: the proposer's registration, its
//! leadership, the state it started from, and the registrations under which the members caught up (KIP-841, KIP-903).
//! A proposal that equals the present state is fine if it starts from it; one from an older state is refused, for its
//! proposer may not know a min.insync.replicas that came since.
//!
//! Every accepted proposal ends the partition epoch that it started from, also one that changes nothing: with it a
//! leader takes back an earlier proposal whose answer it missed, which must not be committed any more when it arrives.

use std::collections::BTreeSet;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, TopicPartition},
};

use super::{
    brokers::registered,
    change::PartitionChange,
    election::{Standing, Standings},
};
use crate::{
    command::{AlterPartition, IsrChange},
    image::{Image, Topic},
    limits::MAX_ISR_CHANGES,
    record::{PartitionState, Record},
    response::{Decision, Rejection, Response},
};

/// Refuses the whole command if the proposer is not who it says, or proposes too much at once.
pub(crate) fn acceptable(image: &Image, command: &AlterPartition) -> Result<(), Rejection> {
    registered(image, command.broker_id, command.broker_epoch)?;
    if command.changes.len() > MAX_ISR_CHANGES {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("{} changes in one request; at most {MAX_ISR_CHANGES}", command.changes.len()),
        ));
    }
    Ok(())
}

/// Decides each change alone.
pub(crate) fn alter(image: &Image, command: &AlterPartition) -> Decision {
    acceptable(image, command)?;
    let standings = Standings::of(image);
    let mut records = Vec::new();
    let mut changed = BTreeSet::new();
    let mut results = Vec::with_capacity(command.changes.len());
    for change in &command.changes {
        let tp = TopicPartition { topic_id: change.topic_id, partition: change.partition };
        let result = if changed.contains(&tp) {
            Err(Rejection::new(ErrorCode::InvalidUpdateVersion, format!("{tp} is changed earlier in the same request")))
        } else {
            alter_one(image, &standings, command.broker_id, change)
        };
        results.push(result.and_then(|state| {
            changed.insert(tp);
            records.push(Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state: state.clone() });
            if state.leader == Some(command.broker_id) {
                Ok(state)
            } else {
                // It is about to stop, or a move ended and left it out.
                Err(Rejection::new(ErrorCode::NewLeaderElected, format!("{tp} has another leader with this change")))
            }
        }));
    }
    Ok((records, Response::PartitionsAltered { results }))
}

fn alter_one(
    image: &Image,
    standings: &Standings<'_>,
    proposer: BrokerId,
    proposal: &IsrChange,
) -> Result<PartitionState, Rejection> {
    let (topic, state) = find(image, proposal)?;
    check_epochs(state, proposer, proposal)?;
    check_members(image, standings, state, proposer, proposal)?;
    let isr: Vec<BrokerId> = proposal.new_isr.iter().map(|member| member.broker_id).collect();
    let mut change = PartitionChange::new(standings, topic, state);
    change.set_isr(&isr);
    if let Some(high_watermark) = proposal.high_watermark {
        change.freeze(high_watermark, proposal.high_watermark_epoch);
    }
    if standings.get(proposer) == Standing::Leaving {
        // A leaving leader has only waited for someone to catch up.
        change.move_away(proposer);
    }
    let unchanged = || PartitionState { partition_epoch: state.partition_epoch.next(), ..state.clone() };
    Ok(change.finish()?.unwrap_or_else(unchanged))
}

fn find<'a>(image: &'a Image, proposal: &IsrChange) -> Result<(&'a Topic, &'a PartitionState), Rejection> {
    let topic = image.topic(proposal.topic_id).ok_or_else(|| {
        Rejection::new(ErrorCode::UnknownTopicId, format!("unknown topic id '{}'", proposal.topic_id))
    })?;
    let state = topic.partition(proposal.partition).ok_or_else(|| {
        let message = format!("topic {} has no partition {}", topic.name(), proposal.partition);
        Rejection::new(ErrorCode::UnknownTopicOrPartition, message)
    })?;
    Ok((topic, state))
}

fn check_epochs(state: &PartitionState, proposer: BrokerId, proposal: &IsrChange) -> Result<(), Rejection> {
    let refuse = |code, message| Err(Rejection::new(code, message));
    if proposal.leader_epoch < state.leader_epoch {
        let message = format!("leader epoch {} has ended; it is {} now", proposal.leader_epoch, state.leader_epoch);
        return refuse(ErrorCode::FencedLeaderEpoch, message);
    }
    if proposal.leader_epoch > state.leader_epoch {
        let message = format!("leader epoch {} has not begun; it is {}", proposal.leader_epoch, state.leader_epoch);
        return refuse(ErrorCode::UnknownLeaderEpoch, message);
    }
    if state.leader != Some(proposer) {
        let leader = state.leader.map_or_else(|| "nobody".to_owned(), |leader| format!("broker {leader}"));
        return refuse(ErrorCode::NotLeaderOrFollower, format!("{leader} leads, not broker {proposer}"));
    }
    if proposal.partition_epoch != state.partition_epoch {
        let message =
            format!("partition epoch {} is not the current {}", proposal.partition_epoch, state.partition_epoch);
        return refuse(ErrorCode::InvalidUpdateVersion, message);
    }
    Ok(())
}

fn check_members(
    image: &Image,
    standings: &Standings<'_>,
    state: &PartitionState,
    proposer: BrokerId,
    proposal: &IsrChange,
) -> Result<(), Rejection> {
    let distinct: BTreeSet<BrokerId> = proposal.new_isr.iter().map(|member| member.broker_id).collect();
    if distinct.len() != proposal.new_isr.len() || !distinct.contains(&proposer) {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("an ISR names each member once, and its leader {proposer} among them"),
        ));
    }
    for member in &proposal.new_isr {
        let id = member.broker_id;
        let epoch = image.broker(id).map(|registration| registration.broker_epoch);
        let reason = if !state.replicas.contains(&id) {
            "is not assigned"
        } else if epoch != Some(member.broker_epoch) {
            "caught up under another registration"
        } else if standings.get(id) == Standing::Fenced {
            "is fenced"
        } else if standings.get(id) == Standing::Leaving && !state.isr.contains(&id) {
            "is leaving"
        } else {
            continue;
        };
        return Err(Rejection::new(ErrorCode::IneligibleReplica, format!("broker {id} {reason}")));
    }
    Ok(())
}
