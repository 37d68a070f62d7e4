//! Getting the producer's id and its next epoch.
//!
//! Invariants:
//! 1. One request for a new epoch is under way at most, for all partitions together.
//! 2. The epoch of one id only grows. Only when the cluster does not know the id any more, or its epochs are used up, a
//!    fresh id is taken; a batch that is in doubt under the old id is then no longer fenced, which is logged.
//!
//! Failure: a call that fails is tried again until the producer ends; partitions that need the new epoch wait
//! meanwhile, and their batches expire at their delivery timeout.

use std::sync::Arc;

use tracing::{debug, info, warn};

use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    convert,
    v1::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{batch_queue::ProducerIdentity, shared::Shared};
use crate::{
    Client,
    connection::{Effect, Lane, call},
    deadline::Deadline,
    error::Error,
};

/// A partition cannot go on under `stale`: gets the next epoch. False if there is one already. All partitions are
/// asked again once it is there.
pub(super) fn need_new(shared: &Arc<Shared>, stale: ProducerIdentity) -> bool {
    if shared.identity.get() != Some(stale) {
        return false;
    }
    if !shared.identity.begin_renewal() {
        return true;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let ended = shared.ended.clone();
        ended.run_until_cancelled(renew(&shared, stale)).await;
        shared.identity.end_renewal();
        for partition in shared.partitions() {
            partition.update(&shared.outcomes, |_| ());
        }
    });
    true
}

async fn renew(shared: &Shared, stale: ProducerIdentity) {
    let config = shared.client.config();
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    let mut held = Some(stale).filter(|identity| identity.epoch.0 < i16::MAX);
    loop {
        match init(&shared.client, held).await {
            Ok(identity) => {
                info!(producer_id = %identity.id, producer_epoch = %identity.epoch, "the producer goes on under a new epoch");
                shared.identity.set(identity);
                return;
            }
            Err(error) if held.is_some() && matches!(error, Error::Rejected(_)) && !error.is_retriable() => {
                warn!(%error, producer_id = %stale.id, "the producer id cannot go on; taking a fresh one");
                held = None;
            }
            Err(error) => {
                debug!(%error, "no producer epoch yet");
                tokio::time::sleep(jittered(backoff.next_pause())).await;
            }
        }
    }
}

/// A fresh id, or the next epoch of the one held; tried until the deadline.
pub(crate) async fn init_until(client: &Client, deadline: Deadline) -> Result<ProducerIdentity, Error> {
    let config = client.config();
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    loop {
        match init(client, None).await {
            Err(error) if error.is_retriable() && !deadline.is_over() => {
                debug!(%error, "no producer id yet");
                client.metadata().request_refresh();
                deadline.pause(jittered(backoff.next_pause())).await;
            }
            result => return result,
        }
    }
}

/// Asks one broker after another.
async fn init(client: &Client, held: Option<ProducerIdentity>) -> Result<ProducerIdentity, Error> {
    let request = InitProducerIdRequest {
        producer_id: held.map(|identity| identity.id.0),
        producer_epoch: held.map(|identity| u32::from(identity.epoch.0.unsigned_abs())),
    };
    let addresses = client.metadata().addresses();
    let mut last = Error::Unreachable { tried: addresses.len(), last: "no address is known".to_owned() };
    for address in &addresses {
        let mut stub = client.connections().producer(address, Lane::Control)?;
        let limit = client.config().request_timeout;
        let rpc = |request| async move { stub.init_producer_id(request).await };
        match call(address, "InitProducerId", Effect::Reads, limit, request, rpc).await {
            Ok(InitProducerIdResponse { producer_id, producer_epoch }) => {
                let malformed =
                    |_| Error::Malformed { address: address.clone(), reason: "the producer id is out of range" };
                return Ok(ProducerIdentity {
                    id: convert::producer_id(producer_id, "producer_id").map_err(malformed)?,
                    epoch: convert::producer_epoch(producer_epoch, "producer_epoch").map_err(malformed)?,
                });
            }
            Err(error) if error.is_retriable() => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
