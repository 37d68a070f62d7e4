//! Preferred leaders: leadership goes back to where it was assigned first.

use std::collections::BTreeSet;

use holdfast_proto::{error::ErrorCode, ids::TopicPartition};

use super::{change::PartitionChange, election::Standings};
use crate::{
    image::Image,
    record::Record,
    response::{Decision, Rejection, Response},
};

/// Gives leadership back to the first assigned replica of each partition, where it is in sync and stays.
pub(crate) fn elect_leaders(image: &Image, only: &[TopicPartition]) -> Decision {
    let standings = Standings::of(image);
    let mut records = Vec::new();
    let mut elect = |tp: TopicPartition| -> Result<(), Rejection> {
        let Some((topic, state)) = image.topic(tp.topic_id).and_then(|t| Some((t, t.partition(tp.partition)?))) else {
            return Err(Rejection::new(ErrorCode::UnknownTopicOrPartition, format!("unknown partition '{tp}'")));
        };
        let preferred = state.replicas[0];
        if state.isr.contains(&preferred) && standings.is_active(preferred) {
            let mut change = PartitionChange::new(&standings, topic, state);
            change.lead(preferred);
            records.extend(change.finish()?.map(|state| Record::Partition {
                topic_id: tp.topic_id,
                partition: tp.partition,
                state,
            }));
        }
        Ok(())
    };
    if only.is_empty() {
        image.partitions().try_for_each(|(tp, ..)| elect(tp))?;
    } else {
        // Twice the same partition would be decided twice from one state.
        only.iter().copied().collect::<BTreeSet<_>>().into_iter().try_for_each(elect)?;
    }
    let elected = records.len() as u32;
    Ok((records, Response::LeadersElected { elected }))
}
