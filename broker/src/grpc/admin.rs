//! `AdminService` of a broker: turns messages into calls of the service and back.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use holdfast_proto::{
    ids::{BrokerId, MetadataIndex},
    v1::{self, admin_service_server},
};

use crate::{
    here::context::Context,
    messages::{cluster, moves, topics},
    services::admin::{controllers::ControllerAdmin, service::AdminService},
};

/// Serves administration.
pub(super) struct AdminEdge {
    service: AdminService,
}

impl AdminEdge {
    pub(super) fn new(context: Arc<Context>) -> Self {
        let controllers = Arc::clone(&context.nodes.controllers) as Arc<dyn ControllerAdmin>;
        Self { service: AdminService::new(context, controllers) }
    }
}

#[tonic::async_trait]
impl admin_service_server::AdminService for AdminEdge {
    async fn get_metadata(
        &self,
        request: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        let request = request.into_inner();
        let seen = self.service.metadata(MetadataIndex(request.min_index)).await?;
        Ok(Response::new(cluster::metadata_answer(&seen, &request)))
    }

    async fn create_topic(
        &self,
        request: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        let topic = topics::new_topic(request.into_inner())?;
        let name = topic.name.clone();
        Ok(Response::new(topics::create_answer(name, self.service.create_topic(topic).await?)))
    }

    async fn delete_topic(
        &self,
        request: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        let deletion = topics::deletion(request.into_inner())?;
        let index = self.service.delete_topic(deletion).await?.0;
        Ok(Response::new(v1::DeleteTopicResponse { index }))
    }

    async fn alter_topic(
        &self,
        request: Request<v1::AlterTopicRequest>,
    ) -> Result<Response<v1::AlterTopicResponse>, Status> {
        let change = topics::change(request.into_inner())?;
        Ok(Response::new(topics::alter_answer(self.service.alter_topic(change).await?)))
    }

    async fn describe_topic_config(
        &self,
        request: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        let found = self.service.topic_settings(&request.into_inner().name).await?;
        Ok(Response::new(topics::settings_answer(found)))
    }

    async fn describe_cluster(
        &self,
        _: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        Ok(Response::new(cluster::describe_answer(self.service.describe_cluster().await?)))
    }

    async fn plan_moves(
        &self,
        request: Request<v1::PlanMovesRequest>,
    ) -> Result<Response<v1::PlanMovesResponse>, Status> {
        let goal = moves::goal(request.into_inner());
        Ok(Response::new(moves::plan_answer(self.service.plan_moves(goal).await?)))
    }

    async fn alter_replicas(
        &self,
        request: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        let change = moves::change(request.into_inner());
        Ok(Response::new(moves::alter_answer(self.service.alter_replicas(change).await?)))
    }

    async fn set_broker_drain(
        &self,
        request: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        let v1::SetBrokerDrainRequest { broker_id, draining } = request.into_inner();
        let index = self.service.set_broker_drain(BrokerId(broker_id), draining).await?.0;
        Ok(Response::new(v1::SetBrokerDrainResponse { index }))
    }

    async fn remove_broker(
        &self,
        request: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        let broker_id = BrokerId(request.into_inner().broker_id);
        let index = self.service.remove_broker(broker_id).await?.0;
        Ok(Response::new(v1::RemoveBrokerResponse { index }))
    }
}
