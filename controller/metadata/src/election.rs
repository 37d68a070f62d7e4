//! Who leads. Election is clean only: from the ISR, else from the eligible replicas, else nobody until one returns.
//! There is no switch for anything else.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, TopicPartition},
};

use crate::{
    change::PartitionChange,
    image::Image,
    machine::Decision,
    record::{PartitionState, Record},
    response::{Rejection, Response},
};

/// How a broker stands in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No live session, or not registered: leads nothing.
    Fenced,
    /// Alive, but about to stop: leads only what nobody else can.
    Leaving,
    /// Alive.
    Active,
}

/// How the brokers stand once the command in hand is carried out.
pub(crate) struct Standings<'a> {
    image: &'a Image,
    changed: Option<(BrokerId, Standing)>,
}

impl<'a> Standings<'a> {
    /// As the image has them.
    pub(crate) fn of(image: &'a Image) -> Self {
        Self { image, changed: None }
    }

    /// As the image has them, but for one broker.
    pub(crate) fn with(image: &'a Image, broker: BrokerId, standing: Standing) -> Self {
        Self { image, changed: Some((broker, standing)) }
    }

    /// How this broker stands.
    pub(crate) fn get(&self, broker: BrokerId) -> Standing {
        match self.changed {
            Some((changed, standing)) if changed == broker => standing,
            _ => match self.image.broker(broker) {
                Some(registration) if registration.is_active() => Standing::Active,
                Some(registration) if !registration.fenced => Standing::Leaving,
                _ => Standing::Fenced,
            },
        }
    }

    /// True if this broker is alive and stays.
    pub(crate) fn is_active(&self, broker: BrokerId) -> bool {
        self.get(broker) == Standing::Active
    }
}

/// The replica that has to lead now: of the ISR before the ELR, of each those that stay before those that leave, of
/// these the first assigned. `None` if no replica that holds every acknowledged record is alive.
pub(crate) fn candidate(standings: &Standings<'_>, state: &PartitionState) -> Option<BrokerId> {
    let first = |members: &[BrokerId], wanted: Standing| {
        members.iter().copied().find(|member| standings.get(*member) == wanted)
    };
    [&state.isr, &state.elr]
        .into_iter()
        .find_map(|members| first(members, Standing::Active).or_else(|| first(members, Standing::Leaving)))
}

/// Gives leadership back to the first assigned replica of each partition, where it is in sync and stays.
pub(crate) fn elect_leaders(image: &Image, only: &[TopicPartition]) -> Decision {
    let standings = Standings::of(image);
    let mut records = Vec::new();
    let mut elect = |tp: TopicPartition| -> Result<(), Rejection> {
        let Some((topic, state)) = image.topic(tp.topic_id).and_then(|t| Some((t, t.partition(tp.partition)?))) else {
            return Err(Rejection::new(ErrorCode::UnknownTopicOrPartition, format!("there is no partition {tp}")));
        };
        let preferred = state.replicas[0];
        if state.isr.contains(&preferred) && standings.is_active(preferred) {
            let mut change = PartitionChange::new(&standings, topic, state);
            change.lead(preferred);
            records.extend(change.finish().map(|state| Record::Partition {
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
        only.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().try_for_each(elect)?;
    }
    let elected = records.len() as u32;
    Ok((records, Response::LeadersElected { elected }))
}
