//! Brokers whose sessions ended together are fenced in one step.
//!
//! After a power loss of all the sessions end within moments. Fenced one by one, the first leaves an ISR of which enough
//! remain, and counts for nothing from then on, though nothing can be acknowledged without it before its turn: then the
//! others alone are eligible, and one of them that stays away leaves the partition without a leader. In one step all of them
//! become eligible. That is true of each: it was in sync, and what is acknowledged is held by all who are in sync.

use std::collections::BTreeMap;

use holdfast_proto::{error::ErrorCode, ids::BrokerId};

use super::{change::PartitionChange, election::Standings};
use crate::{
    command::EndedSession,
    image::Image,
    limits::MAX_BROKERS,
    record::{BrokerRegistration, Record},
    response::{Decision, Rejection, Response},
};

/// Refuses more sessions than there may be brokers.
pub(crate) fn bounded(brokers: &[EndedSession]) -> Result<(), Rejection> {
    if brokers.len() <= MAX_BROKERS {
        return Ok(());
    }
    let message = format!("{} sessions in one command; at most {MAX_BROKERS}", brokers.len());
    Err(Rejection::new(ErrorCode::InvalidRequest, message))
}

/// The sessions of all these brokers ended.
pub(crate) fn fence_together(image: &Image, brokers: &[EndedSession]) -> Decision {
    bounded(brokers)?;
    let ended: BTreeMap<BrokerId, &BrokerRegistration> =
        brokers.iter().filter_map(|session| Some((session.broker_id, alive(image, session)?))).collect();
    let standings = Standings::without(image, ended.keys().copied());
    let is_ended = |broker: &BrokerId| ended.contains_key(broker);
    let touched = image.partitions().filter(|(_, _, state)| state.replicas.iter().any(is_ended));
    let mut records = Vec::new();
    for (tp, topic, state) in touched {
        let mut change = PartitionChange::new(&standings, topic, state);
        change.leave_isr_together(|member| is_ended(&member));
        if let Some(state) = change.finish()? {
            records.push(Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state });
        }
    }
    records.extend(ended.values().map(|old| Record::Broker(BrokerRegistration { fenced: true, ..(*old).clone() })));
    Ok((records, Response::BrokerFenced))
}

/// The registration that is meant, if it is the present one and not fenced yet.
fn alive<'a>(image: &'a Image, session: &EndedSession) -> Option<&'a BrokerRegistration> {
    let registered = image.broker(session.broker_id)?;
    (registered.broker_epoch == session.broker_epoch && !registered.fenced).then_some(registered)
}
