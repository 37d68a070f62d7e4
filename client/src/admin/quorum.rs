//! The controllers' quorum, and taking a controller out of it.

use holdfast_proto::{ids::ControllerId, v1};

use super::{Admin, handle::Repeat};
use crate::error::Error;

impl Admin {
    /// The controllers of the quorum, as the active one sees them. Fails while none is active.
    pub async fn describe_quorum(&self) -> Result<v1::DescribeQuorumResponse, Error> {
        let request = v1::DescribeQuorumRequest {};
        let (_, response) = self
            .retry("DescribeQuorum", self.deadline(), Repeat::Read, &request, |mut client, request| async move {
                client.describe_quorum(request).await
            })
            .await?;
        Ok(response)
    }

    /// What would become of the quorum without this controller; the error says why it cannot be removed now.
    pub async fn plan_removal(&self, controller: ControllerId) -> Result<v1::RemoveControllerResponse, Error> {
        self.take_out(controller, true).await
    }

    /// Takes a controller out of the quorum for good. Refused if too few of those that stay are alive, or if it is alive
    /// and would join again at once. The active one hands the leadership over first.
    pub async fn remove_controller(&self, controller: ControllerId) -> Result<v1::RemoveControllerResponse, Error> {
        self.take_out(controller, false).await
    }

    async fn take_out(
        &self,
        controller: ControllerId,
        validate_only: bool,
    ) -> Result<v1::RemoveControllerResponse, Error> {
        let request = v1::RemoveControllerRequest { node_id: controller.0, validate_only };
        let repeat = if validate_only { Repeat::Read } else { Repeat::IfNotDone };
        let (_, response) = self
            .retry("RemoveController", self.deadline(), repeat, &request, |mut client, request| async move {
                client.remove_controller(request).await
            })
            .await?;
        Ok(response)
    }
}
