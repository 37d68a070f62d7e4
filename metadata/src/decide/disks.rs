//! An operator says that the disk of a broker that is gone will not come back, so that nobody waits for it.
//!
//! It comes to the same as if the broker had come back with an empty folder: what it held counts for nothing, and the others
//! go on by what they say of themselves. No replica comes to lead by it that would not then.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId},
};

use super::{brokers::last_registered, change::PartitionChange, election::Standings, reports::Reports, unsettled};
use crate::{
    image::Image,
    record::Record,
    response::{Decision, Rejection, Response},
    trust::LostDisk,
};

/// Gives up what the disk of a broker that is gone holds, and writes that down.
pub(crate) fn lose(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch, at_ms: u64) -> Decision {
    let broker_epoch = given_up(image, broker_id, broker_epoch)?;
    let standings = Standings::hearing(image, broker_id);
    let mut lost = LostDisk { broker_id, broker_epoch, replicas: 0, eligible: 0, led: 0, at_ms };
    let mut records = Vec::new();
    for (tp, topic, state) in image.partitions_of(broker_id) {
        let mut change = PartitionChange::new(&standings, topic, state);
        let is_believed = !state.distrusted.iter().any(|distrust| distrust.broker_id == broker_id);
        // What one said that is not believed may hold others up.
        if is_believed || state.claims.iter().any(|claim| claim.broker_id == broker_id) {
            change.lose(broker_id);
        }
        if is_believed {
            lost.replicas += 1;
            lost.eligible += u32::from(state.isr.contains(&broker_id) || state.elr.contains(&broker_id));
        }
        if let Some(new) = change.finish()? {
            lost.led += u32::from(state.leader.is_none() && new.leader.is_some());
            records.push(Record::Partition { topic_id: tp.topic_id, partition: tp.partition, state: new });
        }
    }
    let mut elsewhere = unsettled::settle(image, &standings, broker_id, |_, _| ())?;
    let is_led = |record: &&Record| matches!(record, Record::Partition { state, .. } if state.leader.is_some());
    lost.led += elsewhere.iter().filter(is_led).count() as u32;
    elsewhere.extend(unsettled::keep_strays(image, &standings, broker_id, &Reports::of(&[]))?);
    records.extend(elsewhere);
    // Asked for again it is the same as once.
    if !records.is_empty() || !image.has_lost_disk(broker_id, broker_epoch) {
        records.push(Record::LostDisk(lost));
    }
    Ok((records, Response::DiskLost { lost }))
}

/// The registration that is given up, or why it is not. A broker that a recovery of the controllers expects has none, which 0
/// says: an id that was mistyped then would be waited for for ever.
fn given_up(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Result<BrokerEpoch, Rejection> {
    if let Some(expected) = image.expected_epoch(broker_id).filter(|_| broker_epoch == BrokerEpoch(0)) {
        return Ok(expected);
    }
    if !last_registered(image, broker_id, broker_epoch)?.fenced {
        let message = format!("broker {broker_id} is alive: its disk is there; nothing was changed");
        return Err(Rejection::new(ErrorCode::InvalidRequest, message));
    }
    Ok(broker_epoch)
}
