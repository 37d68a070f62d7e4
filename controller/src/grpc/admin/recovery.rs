//! The last resort of a partition, as an operator asks for it. Carried out on the active controller.

use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_metadata::{Command, RecoverPartition, Response as Done};
use holdfast_metadata_wire::trust::recovery_info;
use holdfast_proto::{
    convert::partition,
    detail::ErrorDetail,
    ids::{BrokerId, PartitionEpoch},
    v1::{RecoverPartitionRequest, RecoverPartitionResponse},
};

use super::{
    super::answer::unexpected,
    edge::{AdminEdge, find},
};

impl AdminEdge {
    /// Lets a partition without a leader go on with the replica that is named, or says what would be given up.
    pub(super) async fn recover(
        &self,
        request: RecoverPartitionRequest,
    ) -> Result<RecoverPartitionResponse, ErrorDetail> {
        let topic_id = find(&self.node.view().image(), &request.topic)?.topic_id();
        // For people who read it later; nothing is decided by it.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = RecoverPartition {
            topic_id,
            partition: partition(request.partition, "partition")?,
            broker_id: BrokerId(request.broker_id),
            partition_epoch: PartitionEpoch(request.partition_epoch),
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        };
        match self.carry_out(Command::RecoverPartition(command), request.validate_only).await? {
            (index, Done::PartitionRecovered { recovery }) => {
                if !request.validate_only {
                    tracing::warn!(?recovery, "a partition goes on with a replica that may lack acknowledged records");
                }
                Ok(RecoverPartitionResponse { recovery: Some(recovery_info(&recovery)), index: index.0 })
            }
            (_, answer) => Err(unexpected(&answer)),
        }
    }
}
