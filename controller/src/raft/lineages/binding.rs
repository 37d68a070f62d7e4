//! A folder is bound to a cluster, and that is counted among what it told: one that was restored to before it does not know
//! of that.

use holdfast_proto::ids::ClusterId;

use super::known::{Inner, Lineages};
use crate::{
    identity::{self, Identity},
    lineage::Said,
    store::{self, Op},
};

/// Why a folder is not bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The folder cannot be written.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// That it is bound is not noted in the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A task of the runtime was ended.
    #[error("a task was ended: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl Lineages {
    /// Binds the folder, see [`crate::identity::DataDir::bind`], and counts that among what it told. Durable when it returns.
    /// It goes on to its end also if nobody waits for it any more: a promise that is on the disk counts.
    pub(crate) async fn bind(&self, cluster_id: ClusterId, promised_to: u64) -> Result<Identity, BindError> {
        let lineages = self.clone();
        tokio::spawn(async move { lineages.bind_and_count(cluster_id, promised_to).await }).await?
    }

    async fn bind_and_count(&self, cluster_id: ClusterId, promised_to: u64) -> Result<Identity, BindError> {
        let Inner { data, store, binding, .. } = &*self.inner;
        let mut is_uncounted = binding.lock().await;
        *is_uncounted |= data.cluster_id().is_none();
        let folder = std::sync::Arc::clone(data);
        let bound = tokio::task::spawn_blocking(move || folder.bind(cluster_id, promised_to)).await??;
        if *is_uncounted {
            store.write(|done| Op::SettleTold { done }).await?;
            *is_uncounted = false;
        }
        Ok(bound)
    }

    /// The identity of the folder, and what a message to `target` shows: a promise is said once it counts.
    pub(crate) async fn said(&self, target: u64) -> (Identity, Said) {
        let _turn = self.inner.binding.lock().await;
        (self.inner.data.identity(), self.shown(target))
    }
}
