//! What is done with what brokers say of their folders and replicas, and what operators decide where nobody is believed.

use std::collections::BTreeMap;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, FolderToken, Offset, PartitionIndex, TopicId, TopicPartition},
};

use super::{
    brokers::registered,
    change::PartitionChange,
    election::{Standing, Standings},
};
use crate::{
    command::{DistrustReplicas, RecoverPartition},
    image::Image,
    limits::MAX_ISR_CHANGES,
    record::{BrokerRegistration, PartitionState, Record},
    response::{Decision, Rejection, Response},
    trust::{Distrust, DistrustReason, PartitionRecovery},
    version::RECOVERY,
};

/// The broker's folder holds another token by now.
pub(crate) fn renew_token(
    image: &Image,
    broker_id: BrokerId,
    broker_epoch: BrokerEpoch,
    token: FolderToken,
) -> Decision {
    let old = registered(image, broker_id, broker_epoch)?;
    let renewed = BrokerRegistration { token: Some(token), ..old.clone() };
    let records = if renewed == *old { Vec::new() } else { vec![Record::Broker(renewed)] };
    Ok((records, Response::FolderTokenRenewed))
}

/// Refuses the whole command if the broker is not who it says, or names too much at once.
pub(crate) fn distrustable(image: &Image, command: &DistrustReplicas) -> Result<(), Rejection> {
    registered(image, command.broker_id, command.broker_epoch)?;
    if command.replicas.len() > MAX_ISR_CHANGES {
        return Err(Rejection::new(
            ErrorCode::InvalidRequest,
            format!("{} replicas in one request; at most {MAX_ISR_CHANGES}", command.replicas.len()),
        ));
    }
    Ok(())
}

/// Takes these replicas out of the ISR and the ELR; another in-sync or eligible one leads where they did.
pub(crate) fn distrust(image: &Image, command: &DistrustReplicas) -> Decision {
    distrustable(image, command)?;
    let standings = Standings::of(image);
    let mut records = BTreeMap::new();
    for replica in &command.replicas {
        let Some(topic) = image.topic(replica.topic_id) else { continue };
        let Some(state) = topic.partition(replica.partition) else { continue };
        if !state.replicas.contains(&command.broker_id) || state.partition_epoch != replica.partition_epoch {
            continue;
        }
        let mut change = PartitionChange::new(&standings, topic, state);
        change.distrust(command.broker_id, replica.reason);
        // Also where it was not believed before: a leader may count on what it copied since, in this partition epoch.
        change.force();
        if let Some(state) = change.finish()? {
            let partition = replica.partition;
            records.insert(
                (replica.topic_id, partition),
                Record::Partition { topic_id: replica.topic_id, partition, state },
            );
        }
    }
    Ok((records.into_values().collect(), Response::ReplicasDistrusted))
}

/// Who would lead this partition if broker `own` did not vouch for its replica of it any more. `None` if nobody could, or there
/// is no such partition.
pub fn leader_without(image: &Image, own: BrokerId, id: TopicPartition) -> Option<BrokerId> {
    let topic = image.topic(id.topic_id)?;
    let standings = Standings::of(image);
    let mut change = PartitionChange::new(&standings, topic, topic.partition(id.partition)?);
    change.distrust(own, DistrustReason::Damaged);
    change.finish().ok().flatten()?.leader
}

/// Lets a partition without a leader go on with a replica that is alive, and writes down what is given up.
pub(crate) fn recover(image: &Image, command: &RecoverPartition) -> Decision {
    let refuse = |code, message: String| Err(Rejection::new(code, message));
    let (broker_id, partition) = (command.broker_id, command.partition);
    let Some(topic) = image.topic(command.topic_id) else {
        return refuse(ErrorCode::UnknownTopicId, format!("unknown topic id '{}'", command.topic_id));
    };
    let Some(state) = topic.partition(partition) else {
        let message = format!("topic {} has no partition {partition}", topic.name());
        return refuse(ErrorCode::UnknownTopicOrPartition, message);
    };
    let name = format!("{}-{partition}", topic.name());
    if let Some(leader) = state.leader {
        let before = recovered_before(image, topic.topic_id(), partition, state);
        let message = before.map_or_else(
            || format!("{name} is led by broker {leader}: nothing has to be given up"),
            |before| format!("{name} is led by broker {leader}: {before}. Nothing more was given up"),
        );
        return refuse(ErrorCode::InvalidRequest, message);
    }
    if state.partition_epoch != command.partition_epoch {
        let before = recovered_before(image, topic.topic_id(), partition, state);
        let before = before.map(|before| format!(" ({before})")).unwrap_or_default();
        let message = format!("{name} has changed meanwhile{before}: look at it again");
        return refuse(ErrorCode::InvalidUpdateVersion, message);
    }
    if let Some(why) = unheard(image, state) {
        return refuse(ErrorCode::InvalidRequest, format!("{name}: {why}"));
    }
    let standings = Standings::of(image);
    if !state.replicas.contains(&broker_id) || standings.get(broker_id) == Standing::Fenced {
        let message = format!("broker {broker_id} has no replica of {name}, or is not alive: choose one that is");
        return refuse(ErrorCode::InvalidRequest, message);
    }
    if let Some(why) = better(&standings, state, broker_id) {
        return refuse(ErrorCode::InvalidRequest, format!("{name}: {why}"));
    }
    let mut change = PartitionChange::new(&standings, topic, state);
    change.recover(broker_id);
    let Some(recovered) = change.finish()? else {
        return Err(Rejection::fault(format!("{name} is recovered and unchanged")));
    };
    // A node of an older build could not read it.
    let keeps_all = image.version() >= RECOVERY;
    // Who is alive was compared, and reaches no farther.
    let is_absent = |member: &BrokerId| *member != broker_id && standings.get(*member) == Standing::Fenced;
    let absent = state.isr.iter().chain(&state.elr).copied().filter(is_absent);
    let recovery = PartitionRecovery {
        topic_id: command.topic_id,
        topic: topic.name().to_owned(),
        partition,
        broker_id,
        leader_epoch: recovered.leader_epoch,
        end: kept_end(state, broker_id),
        high_watermark: state.frozen_high_watermark,
        high_watermark_epoch: state.frozen_leader_epoch.filter(|_| keeps_all),
        high_watermark_is_old: state.unsettled && state.frozen_high_watermark.is_some(),
        claims: if keeps_all { state.claims.clone() } else { Vec::new() },
        absent: absent.collect(),
        at_ms: command.at_ms,
    };
    let records = vec![
        Record::PartitionRecovery(recovery.clone()),
        Record::Partition { topic_id: command.topic_id, partition, state: recovered },
    ];
    Ok((records, Response::PartitionRecovered { recovery }))
}

/// Why nobody can choose yet: a broker that has not said what it holds since the controllers were recovered may hold a replica
/// of which nothing is known, and which reaches farther than all that are.
fn unheard(image: &Image, state: &PartitionState) -> Option<String> {
    let unheard: Vec<String> = image.unheard_brokers().map(|broker| broker.to_string()).collect();
    (state.unsettled && !unheard.is_empty()).then(|| {
        let unheard = unheard.join(", ");
        format!(
            "the controllers were recovered, and broker {unheard} has not said since what it holds: start it first; if its disk \
             is gone for good, say so with `holdfast broker disk-lost`"
        )
    })
}

/// Says that another recovery made the partition's present leader, or its last one: two operators may decide at once.
fn recovered_before(
    image: &Image,
    topic_id: TopicId,
    partition: PartitionIndex,
    state: &PartitionState,
) -> Option<String> {
    let is_it = |recovery: &&PartitionRecovery| recovery.topic_id == topic_id && recovery.partition == partition;
    let last = image.recoveries().iter().rev().find(is_it)?;
    let PartitionRecovery { broker_id, leader_epoch, .. } = last;
    // The leader epoch grows by one where the leader leaves, and by one where the next comes.
    (leader_epoch.0.saturating_add(1) >= state.leader_epoch.0).then(|| {
        format!(
            "another recovery came first, and went on with the replica of broker {broker_id} in leader epoch \
             {leader_epoch}; holdfast cluster status says what it gave up"
        )
    })
}

/// How far the replica can be read with which a partition goes on; `None` if that is not known. One whose log is gone begins
/// again, empty; one that is damaged, or that its disk does not let open, goes on with what can be read of it.
fn kept_end(state: &PartitionState, broker_id: BrokerId) -> Option<Offset> {
    if begins_empty(state, broker_id) {
        return Some(Offset(0));
    }
    state.claim(broker_id).filter(|claim| !claim.unread).map(|claim| claim.end)
}

fn begins_empty(state: &PartitionState, broker_id: BrokerId) -> bool {
    state.distrusted.contains(&Distrust { broker_id, reason: DistrustReason::Vanished })
}

/// Why another replica whose broker is alive is to be chosen instead of this one, or mended first: whether it is believed or
/// not, it is who can be read farthest that gives up least.
fn better(standings: &Standings<'_>, state: &PartitionState, chosen: BrokerId) -> Option<String> {
    let reach = |broker: BrokerId| {
        let known = state.claim(broker).filter(|claim| !claim.unread && !begins_empty(state, broker));
        known.map(|claim| (claim.leader_epoch, claim.end))
    };
    let own = reach(chosen);
    let others = state.claims.iter().map(|claim| claim.broker_id).filter(|broker| state.replicas.contains(broker));
    let mut alive = others.filter(|broker| *broker != chosen && standings.get(*broker) != Standing::Fenced);
    alive.find_map(|broker| {
        if state.elr.contains(&broker) && state.claim(broker).is_some_and(|claim| claim.unread) {
            return Some(format!(
                "broker {broker} could not read its replica, and nothing is said against that: mend what its log names, and \
                 start it again. To give up what it holds stop broker {broker} first"
            ));
        }
        let (_, end) = reach(broker).filter(|reach| own < Some(*reach) && *reach > (None, Offset(0)))?;
        let silent = if own.is_some() || begins_empty(state, chosen) {
            String::new()
        } else {
            format!(". Broker {chosen} has not said how far its own can be read: it does when it starts")
        };
        Some(format!(
            "the replica of broker {broker} reaches farther, to offset {end}: choose that, which gives up less. To give up \
             what it holds stop broker {broker} first{silent}"
        ))
    })
}
