//! Partitions of which nobody knows who was in sync, since the controllers were recovered: see [`crate::recovery`].

use holdfast_proto::ids::{BrokerId, TopicPartition};

use super::{change::PartitionChange, election::Standings};
use crate::{image::Image, record::Record, response::Rejection};

/// Makes a change to every unsettled partition without a replica on the broker, and gives those their leaders for which all
/// that is waited for was said.
pub(super) fn settle(
    image: &Image,
    standings: &Standings<'_>,
    broker_id: BrokerId,
    mut make: impl FnMut(TopicPartition, &mut PartitionChange<'_>),
) -> Result<Vec<Record>, Rejection> {
    if image.controller_recoveries().is_empty() {
        return Ok(Vec::new());
    }
    image
        .partitions()
        .filter(|(_, _, state)| state.unsettled && !state.replicas.contains(&broker_id))
        .filter_map(|(tp, topic, state)| {
            let mut change = PartitionChange::new(standings, topic, state);
            make(tp, &mut change);
            let changed = change.finish().transpose()?;
            Some(changed.map(|state| Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state }))
        })
        .collect()
}
