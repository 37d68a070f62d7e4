//! `AdminService` of a broker: reads from its own metadata with the index that they are true at, changes sent on to the
//! active controller.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use holdfast_metadata::Image;
use holdfast_metadata_wire::view;
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    forward,
    ids::MetadataIndex,
    v1::{self, admin_service_client::AdminServiceClient, admin_service_server::AdminService},
};

use crate::{here::context::Context, outward::Repeat, services::lookup};

/// How long a change may take.
const CHANGE_DEADLINE: Duration = Duration::from_secs(15);

/// Serves administration.
pub(super) struct AdminEdge {
    context: Arc<Context>,
}

/// Sends a call on to the active controller.
macro_rules! forward {
    ($self:ident, $request:ident, $method:ident, $repeat:expr) => {{
        let message = $request.into_inner();
        let call = |channel, timeout: Duration| {
            let message = message.clone();
            async move {
                let mut request = Request::new(message);
                request.set_timeout(timeout.max(Duration::from_millis(100)));
                AdminServiceClient::new(channel).$method(request).await
            }
        };
        Ok(Response::new($self.context.nodes.controllers.call(CHANGE_DEADLINE, $repeat, call).await?))
    }};
}

impl AdminEdge {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The image, once it holds `index`.
    async fn image_at(&self, index: u64) -> Result<Arc<Image>, ErrorDetail> {
        let mut indexes = self.context.metadata.watch();
        let reached = indexes.wait_for(|known| *known >= MetadataIndex(index));
        if tokio::time::timeout(forward::INDEX_WAIT, reached).await.is_err() {
            let message = format!("this broker's metadata has not reached index {index} in time; ask another node");
            return Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message));
        }
        Ok(self.context.metadata.image())
    }
}

#[tonic::async_trait]
impl AdminService for AdminEdge {
    async fn get_metadata(
        &self,
        request: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        let request = request.into_inner();
        // Index 1 at least: an empty answer of a broker that knows nothing would look like an empty cluster.
        let image = self.image_at(request.min_index.max(1)).await?;
        // A broker's image does not hold the cluster's id: its data folder does.
        let cluster_id =
            self.context.identity.cluster_id().map(holdfast_proto::ids::ClusterId::to_bytes).unwrap_or_default();
        Ok(Response::new(v1::GetMetadataResponse { cluster_id, ..view::metadata(&image, &request) }))
    }

    async fn create_topic(
        &self,
        request: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        forward!(self, request, create_topic, Repeat::OnlyIfNotDone)
    }

    async fn delete_topic(
        &self,
        request: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        forward!(self, request, delete_topic, Repeat::OnlyIfNotDone)
    }

    async fn alter_topic(
        &self,
        request: Request<v1::AlterTopicRequest>,
    ) -> Result<Response<v1::AlterTopicResponse>, Status> {
        forward!(self, request, alter_topic, Repeat::OnlyIfNotDone)
    }

    async fn describe_topic_config(
        &self,
        request: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        let image = self.image_at(1).await?;
        let topic = lookup::topic(&image, &request.into_inner().name, None)?;
        Ok(Response::new(v1::DescribeTopicConfigResponse { configs: view::configs(topic), index: image.index().0 }))
    }

    async fn describe_cluster(
        &self,
        request: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        // Only a controller knows the quorum.
        forward!(self, request, describe_cluster, Repeat::Harmless)
    }

    async fn plan_moves(
        &self,
        request: Request<v1::PlanMovesRequest>,
    ) -> Result<Response<v1::PlanMovesResponse>, Status> {
        forward!(self, request, plan_moves, Repeat::Harmless)
    }

    async fn alter_replicas(
        &self,
        request: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        forward!(self, request, alter_replicas, Repeat::OnlyIfNotDone)
    }

    async fn set_broker_drain(
        &self,
        request: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        forward!(self, request, set_broker_drain, Repeat::Harmless)
    }

    async fn remove_broker(
        &self,
        request: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        forward!(self, request, remove_broker, Repeat::OnlyIfNotDone)
    }
}
