//! The last resorts of a partition and of a broker's disk, as an operator asks for them. Carried out on the active controller.

use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_metadata::{Command, RecoverPartition, Response as Done};
use holdfast_metadata_wire::trust::{lost_disk_info, recovery_info};
use holdfast_proto::{
    convert::partition,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, PartitionEpoch},
    v1::{LoseDiskRequest, LoseDiskResponse, RecoverPartitionRequest, RecoverPartitionResponse},
};

use super::{
    super::answer::unexpected,
    edge::{AdminEdge, find},
};

impl AdminEdge {
    /// Gives up the disk of a broker that is gone, or says what that would come to.
    pub(super) async fn give_up_disk(&self, request: LoseDiskRequest) -> Result<LoseDiskResponse, ErrorDetail> {
        let LoseDiskRequest { broker_id, broker_epoch, validate_only } = request;
        let broker_id = BrokerId(broker_id);
        if self.sessions.has_session(broker_id).await? {
            let message = format!("broker {broker_id} has a session: it starts, and says itself what it holds");
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, message));
        }
        let command = Command::LoseDisk { broker_id, broker_epoch: BrokerEpoch(broker_epoch), at_ms: now_ms() };
        match self.carry_out(command, validate_only).await? {
            (index, Done::DiskLost { lost }) => {
                if !validate_only {
                    tracing::warn!(?lost, "an operator gave up the disk of a broker");
                }
                Ok(LoseDiskResponse { index: index.0, lost: Some(lost_disk_info(&lost)) })
            }
            (_, answer) => Err(unexpected(&answer)),
        }
    }

    /// Lets a partition without a leader go on with the replica that is named, or says what would be given up.
    pub(super) async fn recover(
        &self,
        request: RecoverPartitionRequest,
    ) -> Result<RecoverPartitionResponse, ErrorDetail> {
        let topic_id = find(&self.node.view().image(), &request.topic)?.topic_id();
        let command = RecoverPartition {
            topic_id,
            partition: partition(request.partition, "partition")?,
            broker_id: BrokerId(request.broker_id),
            partition_epoch: PartitionEpoch(request.partition_epoch),
            at_ms: now_ms(),
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

/// For people who read it later; nothing is decided by it.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
