//! Blocks of producer ids. The first id that is free moves past a block in the step that gives it away, so no id is
//! given twice; a broker that dies with half a block wastes it, which costs nothing.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, ProducerId},
};

use crate::{
    brokers::registered,
    image::Image,
    machine::Decision,
    record::Record,
    response::{Rejection, Response},
};

/// Ids in one block: a broker asks once for as many producers.
pub const BLOCK_SIZE: u32 = 1_000;

/// Gives the broker the next block.
pub(crate) fn allocate(image: &Image, broker_id: BrokerId, broker_epoch: BrokerEpoch) -> Decision {
    registered(image, broker_id, broker_epoch)?;
    let first_producer_id = image.next_producer_id();
    let Some(next) = first_producer_id.0.checked_add(i64::from(BLOCK_SIZE)) else {
        return Err(Rejection::new(ErrorCode::PolicyViolation, "all producer ids are used up"));
    };
    let records = vec![Record::NextProducerId { next_producer_id: ProducerId(next) }];
    Ok((records, Response::ProducerIds { first_producer_id, count: BLOCK_SIZE }))
}
