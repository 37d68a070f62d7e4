//! Producer ids for idempotent producers, out of blocks that the controller gives to this broker alone.

use std::{ops::Range, sync::Arc};

use tokio::sync::Mutex;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{ProducerEpoch, ProducerId},
};

use super::{caller::Caller, other_nodes::ProducerIdBlocks};

/// Gives producer ids out of blocks that the controllers allocate.
pub struct ProducerIds {
    blocks: Arc<dyn ProducerIdBlocks>,
    /// Ids that were not given yet.
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// No block yet; they come from `blocks`.
    pub fn new(blocks: Arc<dyn ProducerIdBlocks>) -> Self {
        Self { blocks, block: Mutex::new(0..0) }
    }

    /// A fresh id with epoch 0, or the next epoch of an id that the caller holds (KIP-360). Epochs that are used up give
    /// a fresh id. Partitions fence the older epoch when they see the newer one.
    pub async fn init(
        &self,
        caller: &Caller,
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
            let (first, count) =
                self.blocks.allocate().await.inspect_err(|detail| caller.refused("a producer id", detail))?;
            *block = first.0..first.0.saturating_add(count.into());
        }
        let id = block.start;
        block.start += 1;
        Ok((ProducerId(id), ProducerEpoch(0)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use futures::FutureExt;

    use holdfast_proto::error::ErrorCode;

    use super::*;
    use crate::services::other_nodes::RemoteAnswer;

    /// Blocks of two ids, of which the first cannot be had.
    #[derive(Default)]
    struct Pairs(AtomicI64);

    impl ProducerIdBlocks for Pairs {
        fn allocate(&self) -> RemoteAnswer<'_, (ProducerId, u32)> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            let answer = if asked == 0 { Err(ErrorCode::NoQuorum.into()) } else { Ok((ProducerId(asked * 10), 2)) };
            std::future::ready(answer).boxed()
        }
    }

    #[tokio::test]
    async fn ids_come_from_block_after_block_and_epochs_that_are_used_up_give_a_fresh_one() {
        let (ids, caller) = (ProducerIds::new(Arc::new(Pairs::default())), Caller::anonymous("test"));
        let init = |held: Option<(i64, i16)>| {
            let held = held.map(|(id, epoch)| (ProducerId(id), ProducerEpoch(epoch)));
            ids.init(&caller, held).map(|given| given.map(|(id, epoch)| (id.0, epoch.0)))
        };
        assert_eq!(init(None).await.unwrap_err().code, ErrorCode::NoQuorum);
        assert_eq!([init(None).await, init(None).await], [Ok((10, 0)), Ok((11, 0))]);
        assert_eq!(init(Some((5, 7))).await, Ok((5, 8)), "no id is spent for an epoch");
        assert_eq!(init(Some((5, i16::MAX - 1))).await, Ok((20, 0)));
    }
}
