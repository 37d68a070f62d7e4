//! Producer ids for idempotent producers, out of blocks that the controller gives to this broker alone.

use std::{ops::Range, sync::Arc};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{ProducerEpoch, ProducerId},
};

use super::{caller::Caller, other_nodes::ProducerIdBlocks};

/// Gives producer ids out of blocks that the controllers allocate.
pub struct ProducerIds {
    blocks: Arc<dyn ProducerIdBlocks>,
    ids: Arc<Mutex<Ids>>,
}

#[derive(Default)]
struct Ids {
    /// Ids that were not given yet.
    block: Range<i64>,
    /// The next block is asked for. All who need it wait for this, and learn together what came of it.
    asked: Option<Asked>,
}

/// Ends once the block is there, or with the reason why there is none.
type Asked = Shared<BoxFuture<'static, Result<(), ErrorDetail>>>;

impl ProducerIds {
    /// No block yet; they come from `blocks`.
    pub fn new(blocks: Arc<dyn ProducerIdBlocks>) -> Self {
        Self { blocks, ids: Arc::default() }
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
        loop {
            let asked = match self.next() {
                Ok(id) => return Ok((id, ProducerEpoch(0))),
                Err(asked) => asked,
            };
            // Those who came first may have taken the whole block: then the next is asked for.
            asked.await.inspect_err(|detail| caller.refused("a producer id", detail))?;
        }
    }

    /// The next id, or what has to be waited for.
    fn next(&self) -> Result<ProducerId, Asked> {
        let mut ids = self.ids.lock();
        if let Some(id) = ids.block.next() {
            return Ok(ProducerId(id));
        }
        let ask = || Self::ask(Arc::clone(&self.blocks), Arc::clone(&self.ids)).boxed().shared();
        Err(ids.asked.get_or_insert_with(ask).clone())
    }

    async fn ask(blocks: Arc<dyn ProducerIdBlocks>, ids: Arc<Mutex<Ids>>) -> Result<(), ErrorDetail> {
        let allocated = blocks.allocate().await;
        let mut ids = ids.lock();
        // Who comes from now on finds the ids, or asks again.
        ids.asked = None;
        let (first, count) = allocated?;
        ids.block = first.0..first.0.saturating_add(count.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

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

    /// Answers once it is told to, that there is no quorum.
    #[derive(Default)]
    struct Silent {
        asked: AtomicI64,
        answers: tokio::sync::Notify,
    }

    impl ProducerIdBlocks for Silent {
        fn allocate(&self) -> RemoteAnswer<'_, (ProducerId, u32)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            async move {
                self.answers.notified().await;
                Err(ErrorCode::NoQuorum.into())
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn who_waits_for_the_same_block_learns_together_that_there_is_none() {
        let silent = Arc::new(Silent::default());
        let (ids, caller) = (ProducerIds::new(Arc::clone(&silent) as _), Caller::anonymous("test"));
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(ids.init(&caller, None))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none(), "nothing was answered yet");
        }
        silent.answers.notify_one();
        // One answer ends the wait of all.
        for one in waiting {
            let code = one.now_or_never().expect("it is answered").map_err(|detail| detail.code);
            assert_eq!(code, Err(ErrorCode::NoQuorum));
        }
        assert_eq!(silent.asked.load(Ordering::Relaxed), 1);
        assert!(ids.init(&caller, None).now_or_never().is_none(), "who comes later asks again");
        assert_eq!(silent.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn more_than_a_block_holds_may_wait_and_one_that_leaves_holds_up_nobody() {
        let (ids, caller) = (ProducerIds::new(Arc::new(Pairs(AtomicI64::new(1)))), Caller::anonymous("test"));
        drop(ids.init(&caller, None));
        let given = futures::future::join_all((0..5).map(|_| ids.init(&caller, None))).await;
        let given: std::collections::BTreeSet<_> =
            given.into_iter().map(|given| given.map(|(id, _)| id.0)).collect::<Result<_, _>>().unwrap();
        assert_eq!(given.len(), 5, "{given:?}");
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
