//! Blocks of producer ids. The first id that is free moves past a block in the step that gives it away, so no id is
//! given twice; a broker that dies with half a block wastes it, which costs nothing.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, ProducerId},
};

use super::brokers::registered;
use crate::{
    image::Image,
    record::Record,
    response::{Decision, Rejection, Response},
};

/// Ids in one block: a broker asks once for as many producers.
pub const PRODUCER_ID_BLOCK: u32 = 1_000;

/// Gives the broker the next block.
pub(crate) fn allocate(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Decision {
    registered(image, broker_id, broker_epoch)?;
    let first_producer_id = image.next_producer_id();
    let Some(next) = first_producer_id.0.checked_add(i64::from(PRODUCER_ID_BLOCK)) else {
        return Err(Rejection::new(ErrorCode::PolicyViolation, "all producer ids are used up"));
    };
    let records = vec![Record::NextProducerId { next_producer_id: ProducerId(next) }];
    Ok((records, Response::ProducerIds { first_producer_id, count: PRODUCER_ID_BLOCK }))
}
