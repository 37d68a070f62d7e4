//! `AdminService` of a broker: turns messages into calls of the service and back.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use holdfast_metadata_wire::view;
use holdfast_node::incoming::ConnectionInfo;
use holdfast_proto::{
    convert::required_id,
    detail::ErrorDetail,
    ids::{BrokerId, MetadataIndex, MetadataVersion, TopicId},
    v1::{self, admin_service_server::AdminService},
};

use super::{
    answer_room::{UNCOUNTED_BYTES, answer_room, hold_room_now},
    caller::{caller, hop},
    unsent::Unsent,
};
use crate::{
    here::context::Context,
    messages::{cluster, moves, quorum, recovery, topics},
    services::{all::Services, caller::Caller},
};

/// The gRPC side of administration; what is asked is done by the services.
pub(super) struct AdminEdge {
    context: Arc<Context>,
    services: Arc<Services>,
}

impl AdminEdge {
    pub(super) fn new(context: Arc<Context>, services: Arc<Services>) -> Self {
        Self { context, services }
    }

    fn unsent<T>(&self, request: &Request<T>) -> Unsent {
        Unsent::of(self.context.metadata_answers.call(ConnectionInfo::closer(request)))
    }

    /// An answer that grows with the cluster, and holds room until it has left the socket. It is there already, and counts as
    /// a request while it waits for that.
    async fn counted<T: prost::Message>(
        &self,
        (caller, unsent): (&Caller, &Unsent),
        answer: T,
    ) -> Result<Response<T>, Status> {
        let bytes = answer.encoded_len();
        if bytes > UNCOUNTED_BYTES {
            let _waits = self.context.asking.park(caller.source, bytes)?;
            let room = answer_room(&self.context.metadata_answers, unsent.reader().as_deref(), bytes).await?;
            unsent.hold(room);
        }
        Ok(unsent.response(answer))
    }

    /// What was done is told at once: there may be no room for it, and its caller may not wait so long. Then it is told in
    /// fewer words.
    fn told<T: prost::Message>(&self, unsent: &Unsent, mut answer: T, lessen: impl FnOnce(&mut T)) -> Response<T> {
        if !hold_room_now(&self.context.metadata_answers, unsent, answer.encoded_len()) {
            lessen(&mut answer);
        }
        unsent.response(answer)
    }
}

#[tonic::async_trait]
impl AdminService for AdminEdge {
    async fn get_metadata(
        &self,
        request: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        let caller = caller(&request);
        let unsent = self.unsent(&request);
        let request = request.into_inner();
        for id in &request.topic_ids {
            let _: TopicId = required_id(id, "topic_ids")?;
        }
        // It may wait for its index, and for room.
        let _parked = self.context.asking.park(caller.source, view::request_bytes(&request))?;
        let seen = self.services.admin.metadata(&caller, MetadataIndex(request.min_index)).await?;
        let bytes = view::metadata_bytes(&seen.image, &request);
        let room = answer_room(&self.context.metadata_answers, unsent.reader().as_deref(), bytes).await?;
        unsent.hold(room);
        Ok(unsent.response(cluster::metadata_answer(&seen, &request)))
    }

    async fn create_topic(
        &self,
        request: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        let (caller, hop, unsent) = (caller(&request), hop(&request), self.unsent(&request));
        let topic = topics::new_topic(request.into_inner())?;
        let name = topic.name.clone();
        let validate_only = topic.validate_only;
        let created = topics::create_answer(name, self.services.admin.create_topic(&caller, topic, hop).await?);
        if validate_only {
            return self.counted((&caller, &unsent), created).await;
        }
        // Nothing of it can be left out; and controllers do not create many in a second.
        Ok(self.told(&unsent, created, |_| ()))
    }

    async fn delete_topic(
        &self,
        request: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        let (caller, hop) = (caller(&request), hop(&request));
        let deletion = topics::deletion(request.into_inner())?;
        let index = self.services.admin.delete_topic(&caller, deletion, hop).await?.0;
        Ok(Response::new(v1::DeleteTopicResponse { index }))
    }

    async fn alter_topic(
        &self,
        request: Request<v1::AlterTopicRequest>,
    ) -> Result<Response<v1::AlterTopicResponse>, Status> {
        let (caller, hop) = (caller(&request), hop(&request));
        let change = topics::change(request.into_inner())?;
        Ok(Response::new(topics::alter_answer(self.services.admin.alter_topic(&caller, change, hop).await?)))
    }

    async fn describe_topic_config(
        &self,
        request: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        let caller = caller(&request);
        let found = self.services.admin.topic_settings(&caller, &request.into_inner().name).await?;
        Ok(Response::new(topics::settings_answer(found)))
    }

    async fn describe_cluster(
        &self,
        request: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        let (caller, unsent) = (caller(&request), self.unsent(&request));
        let described = cluster::describe_answer(self.services.admin.describe_cluster(&caller).await?);
        self.counted((&caller, &unsent), described).await
    }

    async fn plan_moves(
        &self,
        request: Request<v1::PlanMovesRequest>,
    ) -> Result<Response<v1::PlanMovesResponse>, Status> {
        let (caller, unsent) = (caller(&request), self.unsent(&request));
        let goal = moves::goal(request.into_inner());
        let plan = moves::plan_answer(self.services.admin.plan_moves(&caller, goal).await?);
        self.counted((&caller, &unsent), plan).await
    }

    async fn alter_replicas(
        &self,
        request: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        let (caller, unsent) = (caller(&request), self.unsent(&request));
        let change = moves::change(request.into_inner());
        let done = moves::alter_answer(self.services.admin.alter_replicas(&caller, change).await?);
        Ok(self.told(&unsent, done, |done| {
            done.results
                .iter_mut()
                .filter_map(|one| one.error.as_mut())
                .for_each(|error| error.message = String::new());
        }))
    }

    async fn set_broker_drain(
        &self,
        request: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        let caller = caller(&request);
        let v1::SetBrokerDrainRequest { broker_id, draining } = request.into_inner();
        let index = self.services.admin.set_broker_drain(&caller, BrokerId(broker_id), draining).await?.0;
        Ok(Response::new(v1::SetBrokerDrainResponse { index }))
    }

    async fn finalize_version(
        &self,
        request: Request<v1::FinalizeVersionRequest>,
    ) -> Result<Response<v1::FinalizeVersionResponse>, Status> {
        let caller = caller(&request);
        let v1::FinalizeVersionRequest { version, validate_only } = request.into_inner();
        let done = self.services.admin.finalize_version(&caller, MetadataVersion(version), validate_only).await?;
        Ok(Response::new(v1::FinalizeVersionResponse { index: done.index.0, version_before: done.before.0 }))
    }

    async fn remove_broker(
        &self,
        request: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        let caller = caller(&request);
        let broker_id = BrokerId(request.into_inner().broker_id);
        let index = self.services.admin.remove_broker(&caller, broker_id).await?.0;
        Ok(Response::new(v1::RemoveBrokerResponse { index }))
    }

    async fn lose_disk(&self, request: Request<v1::LoseDiskRequest>) -> Result<Response<v1::LoseDiskResponse>, Status> {
        let caller = caller(&request);
        let order = recovery::disk_order(request.into_inner());
        Ok(Response::new(recovery::disk_answer(self.services.admin.lose_disk(&caller, order).await?)))
    }

    async fn describe_quorum(
        &self,
        request: Request<v1::DescribeQuorumRequest>,
    ) -> Result<Response<v1::DescribeQuorumResponse>, Status> {
        let caller = caller(&request);
        Ok(Response::new(quorum::describe_answer(self.services.admin.describe_quorum(&caller).await?)))
    }

    async fn remove_controller(
        &self,
        request: Request<v1::RemoveControllerRequest>,
    ) -> Result<Response<v1::RemoveControllerResponse>, Status> {
        let caller = caller(&request);
        let removal = quorum::removal(request.into_inner());
        Ok(Response::new(quorum::removal_answer(self.services.admin.remove_controller(&caller, removal).await?)))
    }

    async fn recover_partition(
        &self,
        request: Request<v1::RecoverPartitionRequest>,
    ) -> Result<Response<v1::RecoverPartitionResponse>, Status> {
        let caller = caller(&request);
        let order = recovery::order(request.into_inner()).map_err(ErrorDetail::from)?;
        Ok(Response::new(recovery::answer(self.services.admin.recover_partition(&caller, order).await?)))
    }
}
