//! Reads from this broker's own metadata, with the index that they are true at; what changes the cluster, and what only a
//! controller knows, is asked of the active controller.

use std::sync::Arc;

use tokio::time::Instant;

use holdfast_metadata::{Image, plan::PlanGoal, trust::LostDisk};
use holdfast_proto::{
    convert::check_topic_name,
    detail::ErrorDetail,
    error::ErrorCode,
    forward,
    ids::{BrokerId, MetadataIndex, MetadataVersion},
};

use super::{
    cluster::{ClusterStatus, ClusterView, FinalizedVersion},
    controllers::ControllerAdmin,
    moves::{ChangedReplicas, MovePlan, ReplicaChange},
    quorum::{QuorumStatus, Removal, RemovalPlan},
    recovery::{DiskOrder, RecoveredPartition, RecoveryOrder},
    topics::{ChangedTopic, CreatedTopic, NewTopic, TopicChange, TopicDeletion, TopicSettings},
};
use crate::{
    here::context::Context,
    services::{caller::Caller, hop::Hop, lookup, offsets::OffsetService, served::Served},
};

/// Bytes of all settings of one request: several times what a topic has.
const MAX_CONFIGS_BYTES: usize = 256 * 1024;

/// Administration of the cluster, by way of one broker. Says in the log who asks for a change.
#[derive(Clone)]
pub struct AdminService {
    context: Arc<Context>,
    controllers: Arc<dyn ControllerAdmin>,
    served: Served,
}

impl AdminService {
    /// The service of this broker.
    pub fn new(context: Arc<Context>, controllers: Arc<dyn ControllerAdmin>, offsets: OffsetService) -> Self {
        let served = Served::new(Arc::clone(&context), offsets);
        Self { context, controllers, served }
    }

    /// The cluster as this broker knows it, once its metadata holds `min_index`: a change that was answered with that
    /// index is seen.
    pub async fn metadata(&self, caller: &Caller, min_index: MetadataIndex) -> Result<ClusterView, ErrorDetail> {
        // Index 1 at least: an empty answer of a broker that knows nothing would look like an empty cluster.
        let min_index = min_index.max(MetadataIndex(1));
        let image = self.image_at(caller, min_index).await?;
        Ok(ClusterView { cluster_id: self.context.identity.cluster_id(), image })
    }

    /// All settings of the topic of this name.
    pub async fn topic_settings(&self, caller: &Caller, name: &str) -> Result<TopicSettings, ErrorDetail> {
        let image = self.image_at(caller, MetadataIndex(1)).await?;
        let topic = lookup::topic(&image, name, None).inspect_err(|detail| caller.refused("the settings", detail))?;
        Ok(TopicSettings { settings: topic.settings(), index: image.index() })
    }

    /// Creates a topic, or only checks that it could be. Returns once its leaders serve it, as far as a bounded time allows:
    /// a warning says what it was too short for.
    pub async fn create_topic(&self, caller: &Caller, topic: NewTopic, hop: Hop) -> Result<CreatedTopic, ErrorDetail> {
        let start = Instant::now();
        Self::check(caller, &topic.name, topic.configs.iter().map(|(key, value)| key.len() + value.len()))?;
        // Told once it is known to be a name.
        let (name, validate_only) = (topic.name.clone(), topic.validate_only);
        let created = self.controllers.create_topic(topic).await;
        let mut created = created.inspect_err(|detail| caller.refused("a new topic", detail))?;
        tracing::info!(%caller, topic = name, validate_only, "a topic was created");
        if !validate_only {
            let end = Served::end(start, hop);
            created.warnings.extend(self.served.all(caller, &name, created.index, end).await);
        }
        Ok(created)
    }

    /// Deletes a topic for good, with all of its records. This broker does not know it any more when this returns, as far
    /// as a bounded time allows.
    pub async fn delete_topic(
        &self,
        caller: &Caller,
        deletion: TopicDeletion,
        hop: Hop,
    ) -> Result<MetadataIndex, ErrorDetail> {
        let start = Instant::now();
        Self::check(caller, &deletion.name, [])?;
        let name = deletion.name.clone();
        let deleted = self.controllers.delete_topic(deletion).await;
        let index = deleted.inspect_err(|detail| caller.refused("the end of a topic", detail))?;
        tracing::info!(%caller, topic = name, "a topic was deleted");
        let _ = self.served.applied(index, Served::end(start, hop)).await;
        Ok(index)
    }

    /// Changes settings of a topic, or adds partitions; or only checks that it could. Partitions are waited for as those
    /// of a new topic.
    pub async fn alter_topic(
        &self,
        caller: &Caller,
        change: TopicChange,
        hop: Hop,
    ) -> Result<ChangedTopic, ErrorDetail> {
        let (start, adds) = (Instant::now(), change.partition_count.is_some());
        let bytes = |(key, value): (&String, &Option<String>)| key.len() + value.as_ref().map_or(0, String::len);
        Self::check(caller, &change.name, change.configs.iter().map(bytes))?;
        let (name, validate_only) = (change.name.clone(), change.validate_only);
        let changed = self.controllers.alter_topic(change).await;
        let mut changed = changed.inspect_err(|detail| caller.refused("a change of a topic", detail))?;
        tracing::info!(%caller, topic = name, validate_only, "a topic was changed");
        let end = Served::end(start, hop);
        match (validate_only, adds) {
            (true, _) => {}
            (false, true) => changed.warnings.extend(self.served.all(caller, &name, changed.index, end).await),
            (false, false) => drop(self.served.applied(changed.index, end).await),
        }
        Ok(changed)
    }

    /// The controller quorum and the registered brokers: only a controller knows the quorum.
    pub async fn describe_cluster(&self, caller: &Caller) -> Result<ClusterStatus, ErrorDetail> {
        self.controllers
            .describe_cluster()
            .await
            .inspect_err(|detail| caller.refused("the state of the cluster", detail))
    }

    /// Which replicas would move to reach the goal. Changes nothing.
    pub async fn plan_moves(&self, caller: &Caller, goal: PlanGoal) -> Result<MovePlan, ErrorDetail> {
        self.controllers.plan_moves(goal).await.inspect_err(|detail| caller.refused("a plan of moves", detail))
    }

    /// Starts, changes or cancels moves of replicas.
    pub async fn alter_replicas(&self, caller: &Caller, change: ReplicaChange) -> Result<ChangedReplicas, ErrorDetail> {
        tracing::info!(%caller, moves = change.moves.len(), "asking for moves of replicas");
        self.controllers.alter_replicas(change).await
    }

    /// Marks a broker as one to be emptied, or takes the mark away.
    pub async fn set_broker_drain(
        &self,
        caller: &Caller,
        broker_id: BrokerId,
        draining: bool,
    ) -> Result<MetadataIndex, ErrorDetail> {
        tracing::info!(%caller, broker = %broker_id, draining, "asking for the drain of a broker, or its end");
        self.controllers.set_broker_drain(broker_id, draining).await
    }

    /// Forgets a broker that is fenced and holds no replica.
    pub async fn remove_broker(&self, caller: &Caller, broker_id: BrokerId) -> Result<MetadataIndex, ErrorDetail> {
        tracing::info!(%caller, broker = %broker_id, "asking for the removal of a broker");
        self.controllers.remove_broker(broker_id).await
    }

    /// Gives up the disk of a broker that is gone, or only says what that would come to.
    pub async fn lose_disk(&self, caller: &Caller, order: DiskOrder) -> Result<(LostDisk, MetadataIndex), ErrorDetail> {
        tracing::info!(%caller, broker = %order.broker_id, order.validate_only, "asking for the end of a broker's disk");
        self.controllers.lose_disk(order).await
    }

    /// Makes a newer metadata version the one that is used, or only checks that it could.
    pub async fn finalize_version(
        &self,
        caller: &Caller,
        version: MetadataVersion,
        validate_only: bool,
    ) -> Result<FinalizedVersion, ErrorDetail> {
        tracing::info!(%caller, %version, validate_only, "asking for another metadata version");
        self.controllers.finalize_version(version, validate_only).await
    }

    /// Refuses here what a controller would refuse for its size: what a caller sends may be megabytes, of which copies
    /// would be made on the way. `configs` are the bytes of each setting.
    fn check(caller: &Caller, name: &str, configs: impl IntoIterator<Item = usize>) -> Result<(), ErrorDetail> {
        let total: usize = configs.into_iter().sum();
        let checked = check_topic_name(name).map_err(ErrorDetail::from).and_then(|()| {
            if total <= MAX_CONFIGS_BYTES {
                return Ok(());
            }
            let message = format!("settings of {total} bytes in one request; at most {MAX_CONFIGS_BYTES} are allowed");
            Err(ErrorDetail::new(ErrorCode::InvalidConfig, message))
        });
        checked.inspect_err(|detail| caller.refused("a change of a topic", detail))
    }

    /// Lets a partition without a leader go on with a replica that may lack acknowledged records, or only says what that would
    /// cost.
    pub async fn recover_partition(
        &self,
        caller: &Caller,
        order: RecoveryOrder,
    ) -> Result<RecoveredPartition, ErrorDetail> {
        tracing::warn!(%caller, ?order, "asking for the last resort of a partition");
        self.controllers.recover_partition(order).await
    }

    /// The controllers of the quorum, as the active one sees them.
    pub async fn describe_quorum(&self, caller: &Caller) -> Result<QuorumStatus, ErrorDetail> {
        self.controllers.describe_quorum().await.inspect_err(|detail| caller.refused("the state of the quorum", detail))
    }

    /// Takes a controller out of the quorum, or only says what would become of it.
    pub async fn remove_controller(&self, caller: &Caller, removal: Removal) -> Result<RemovalPlan, ErrorDetail> {
        let Removal { id: controller, validate_only } = removal;
        tracing::info!(%caller, %controller, validate_only, "asking for the removal of a controller");
        self.controllers.remove_controller(removal).await
    }

    /// The image, once it holds `index`.
    async fn image_at(&self, caller: &Caller, index: MetadataIndex) -> Result<Arc<Image>, ErrorDetail> {
        let mut indexes = self.context.metadata.watch();
        let reached = indexes.wait_for(|known| *known >= index);
        if tokio::time::timeout(forward::INDEX_WAIT, reached).await.is_err() {
            let message = format!("this broker's metadata has not reached index {index} in time; ask another node");
            let detail = ErrorDetail::new(ErrorCode::DeadlineExceeded, message);
            caller.refused("the metadata", &detail);
            return Err(detail);
        }
        Ok(self.context.metadata.image())
    }
}
