//! Partitions of which nobody knows who was in sync, since the controllers were recovered, and what comes too late to be counted
//! for them: see [`crate::recovery`].

use holdfast_proto::ids::{BrokerId, TopicPartition};

use super::{change::PartitionChange, election::Standings, reports::Reports};
use crate::{
    image::{Image, Topic},
    record::{PartitionState, Record},
    response::Rejection,
};

/// Makes a change to every unsettled partition without a replica on the broker, and gives those their leaders for which all
/// that is waited for was said.
pub(super) fn settle(
    image: &Image,
    standings: &Standings<'_>,
    broker_id: BrokerId,
    mut make: impl FnMut(TopicPartition, &mut PartitionChange<'_>),
) -> Result<Vec<Record>, Rejection> {
    change_elsewhere(image, standings, broker_id, |_, state| state.unsettled, &mut make)
}

/// Keeps on record what the broker says of replicas that are not placed on it, of partitions that are settled: what it said
/// before is forgotten.
pub(super) fn keep_strays(
    image: &Image,
    standings: &Standings<'_>,
    broker_id: BrokerId,
    reports: &Reports<'_>,
) -> Result<Vec<Record>, Rejection> {
    let is_said = |tp, state: &PartitionState| {
        !state.unsettled && (reports.get(tp).is_some() || state.claim(broker_id).is_some())
    };
    change_elsewhere(image, standings, broker_id, is_said, |tp, change| change.stray(broker_id, reports.get(tp)))
}

/// Makes a change to the partitions without a replica on the broker for which `wanted` holds.
fn change_elsewhere(
    image: &Image,
    standings: &Standings<'_>,
    broker_id: BrokerId,
    wanted: impl Fn(TopicPartition, &PartitionState) -> bool,
    mut make: impl FnMut(TopicPartition, &mut PartitionChange<'_>),
) -> Result<Vec<Record>, Rejection> {
    if image.controller_recoveries().is_empty() {
        return Ok(Vec::new());
    }
    let change = |(tp, topic, state): (TopicPartition, &Topic, &PartitionState)| {
        let mut change = PartitionChange::new(standings, topic, state);
        make(tp, &mut change);
        let changed = change.finish().transpose()?;
        Some(changed.map(|state| Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state }))
    };
    let elsewhere = image.partitions().filter(|(_, _, state)| !state.replicas.contains(&broker_id));
    elsewhere.filter(|(tp, _, state)| wanted(*tp, state)).filter_map(change).collect()
}
