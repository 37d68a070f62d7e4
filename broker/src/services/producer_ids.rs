//! Producer ids for idempotent producers, out of blocks that the controller gives to this broker alone.

use std::sync::Arc;

use tokio::sync::Mutex;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{ProducerEpoch, ProducerId},
};

use crate::here::context::Context;

/// Gives producer ids.
pub struct ProducerIds {
    context: Arc<Context>,
    block: Mutex<std::ops::Range<i64>>,
}

impl ProducerIds {
    /// No block yet.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, block: Mutex::new(0..0) }
    }

    /// A fresh id with epoch 0, or the next epoch of an id that the caller holds (KIP-360). Epochs that are used up give
    /// a fresh id. Partitions fence the older epoch when they see the newer one.
    pub async fn init(
        &self,
        held: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<(ProducerId, ProducerEpoch), ErrorDetail> {
        if let Some((id, epoch)) = held
            // Kafka keeps the last one for fencing.
            && epoch.0 < i16::MAX - 1
        {
            return Ok((id, ProducerEpoch(epoch.0 + 1)));
        }
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let (first, count) = self.context.nodes.controllers.allocate_producer_ids(&self.context.identity).await?;
            *block = first.0..first.0.saturating_add(count.into());
        }
        let id = block.start;
        block.start += 1;
        Ok((ProducerId(id), ProducerEpoch(0)))
    }
}
