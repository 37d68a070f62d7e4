//! `AdminService` of a controller. Any controller answers reads, with the index that they are true at; a write is
//! carried out here if this controller is active, else sent on to the one that is.

use tonic::{Request, Response, Status};

use holdfast_metadata_wire::view;
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    forward::INDEX_WAIT,
    ids::MetadataIndex,
    v1::{
        AlterReplicasRequest, AlterReplicasResponse, AlterTopicRequest, AlterTopicResponse, CreateTopicRequest,
        CreateTopicResponse, DeleteTopicRequest, DeleteTopicResponse, DescribeClusterRequest, DescribeClusterResponse,
        DescribeQuorumRequest, DescribeQuorumResponse, DescribeTopicConfigRequest, DescribeTopicConfigResponse,
        FinalizeVersionRequest, FinalizeVersionResponse, GetMetadataRequest, GetMetadataResponse, LoseDiskRequest,
        LoseDiskResponse, PlanMovesRequest, PlanMovesResponse, RecoverPartitionRequest, RecoverPartitionResponse,
        RemoveBrokerRequest, RemoveBrokerResponse, RemoveControllerRequest, RemoveControllerResponse,
        SetBrokerDrainRequest, SetBrokerDrainResponse, admin_service_server::AdminService,
    },
};

use super::{
    cluster,
    edge::{AdminEdge, find},
};

/// Sends a write on unless this controller is active.
macro_rules! forward_unless_active {
    ($self:ident, $request:ident, $method:ident) => {
        if let Some(mut client) = $self.forwarder.target($request.metadata()).await? {
            let message = $request.into_inner();
            let sent = $self.forwarder.send(message, |request| async move { client.$method(request).await });
            return Ok(sent.await?);
        }
    };
}

#[tonic::async_trait]
impl AdminService for AdminEdge {
    async fn get_metadata(
        &self,
        request: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        let request = request.into_inner();
        let _place = self.reads.wait()?;
        let wait = self.node.view().wait_for(MetadataIndex(request.min_index));
        let Ok(image) = tokio::time::timeout(INDEX_WAIT, wait).await else {
            let message = format!("this controller has not reached index {} in time; ask another", request.min_index);
            return Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message).into());
        };
        Ok(Response::new(self.reads.answers.run(move || view::metadata(&image, &request)).await?))
    }

    async fn create_topic(
        &self,
        request: Request<CreateTopicRequest>,
    ) -> Result<Response<CreateTopicResponse>, Status> {
        forward_unless_active!(self, request, create_topic);
        Ok(Response::new(self.create(request.into_inner()).await?))
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Result<Response<DeleteTopicResponse>, Status> {
        forward_unless_active!(self, request, delete_topic);
        Ok(Response::new(self.delete(request.into_inner()).await?))
    }

    async fn alter_topic(&self, request: Request<AlterTopicRequest>) -> Result<Response<AlterTopicResponse>, Status> {
        forward_unless_active!(self, request, alter_topic);
        Ok(Response::new(self.change(request.into_inner()).await?))
    }

    async fn describe_topic_config(
        &self,
        request: Request<DescribeTopicConfigRequest>,
    ) -> Result<Response<DescribeTopicConfigResponse>, Status> {
        let image = self.node.view().image();
        let configs = view::configs(find(&image, &request.into_inner().name)?);
        Ok(Response::new(DescribeTopicConfigResponse { configs, index: image.index().0 }))
    }

    async fn describe_cluster(
        &self,
        _: Request<DescribeClusterRequest>,
    ) -> Result<Response<DescribeClusterResponse>, Status> {
        let status = self.reads.status(self.node.view().image()).await?;
        Ok(Response::new(cluster::describe(&status, &self.node, &self.agreement)))
    }

    async fn plan_moves(&self, request: Request<PlanMovesRequest>) -> Result<Response<PlanMovesResponse>, Status> {
        forward_unless_active!(self, request, plan_moves);
        Ok(Response::new(self.plan(request.into_inner()).await?))
    }

    async fn alter_replicas(
        &self,
        request: Request<AlterReplicasRequest>,
    ) -> Result<Response<AlterReplicasResponse>, Status> {
        forward_unless_active!(self, request, alter_replicas);
        Ok(Response::new(self.alter(request.into_inner()).await?))
    }

    async fn set_broker_drain(
        &self,
        request: Request<SetBrokerDrainRequest>,
    ) -> Result<Response<SetBrokerDrainResponse>, Status> {
        forward_unless_active!(self, request, set_broker_drain);
        Ok(Response::new(self.set_drain(request.into_inner()).await?))
    }

    async fn remove_broker(
        &self,
        request: Request<RemoveBrokerRequest>,
    ) -> Result<Response<RemoveBrokerResponse>, Status> {
        forward_unless_active!(self, request, remove_broker);
        Ok(Response::new(self.remove(request.into_inner()).await?))
    }

    async fn lose_disk(&self, request: Request<LoseDiskRequest>) -> Result<Response<LoseDiskResponse>, Status> {
        forward_unless_active!(self, request, lose_disk);
        Ok(Response::new(self.give_up_disk(request.into_inner()).await?))
    }

    async fn finalize_version(
        &self,
        request: Request<FinalizeVersionRequest>,
    ) -> Result<Response<FinalizeVersionResponse>, Status> {
        forward_unless_active!(self, request, finalize_version);
        Ok(Response::new(self.finalize(request.into_inner()).await?))
    }

    async fn describe_quorum(
        &self,
        request: Request<DescribeQuorumRequest>,
    ) -> Result<Response<DescribeQuorumResponse>, Status> {
        forward_unless_active!(self, request, describe_quorum);
        Ok(Response::new(self.quorum()?))
    }

    async fn remove_controller(
        &self,
        request: Request<RemoveControllerRequest>,
    ) -> Result<Response<RemoveControllerResponse>, Status> {
        forward_unless_active!(self, request, remove_controller);
        Ok(Response::new(self.remove_member(request.into_inner()).await?))
    }

    async fn recover_partition(
        &self,
        request: Request<RecoverPartitionRequest>,
    ) -> Result<Response<RecoverPartitionResponse>, Status> {
        forward_unless_active!(self, request, recover_partition);
        Ok(Response::new(self.recover(request.into_inner()).await?))
    }
}
