//! Administration of the [`FakeController`](crate::fake_controller::FakeController): what brokers send on.

use tonic::{Request, Response, Status};

use holdfast_metadata::{
    AlterReplicas, Command, CreateTopic, RecoverPartition, Rejection, ReplicaMove, Response as Decided,
};
use holdfast_metadata_wire::{trust, view};
use holdfast_proto::{
    convert::partition_error,
    detail::ErrorDetail,
    ids::{BrokerId, PartitionEpoch, PartitionIndex, TopicId},
    v1::{self, admin_service_server::AdminService},
};

use crate::fake_controller::{Edge, refused};

#[tonic::async_trait]
impl AdminService for Edge {
    async fn get_metadata(
        &self,
        _: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        unreachable!("brokers answer this themselves")
    }

    async fn create_topic(
        &self,
        request: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        let request = request.into_inner();
        let command = Command::CreateTopic(CreateTopic {
            name: request.name,
            topic_id: TopicId(uuid::Uuid::new_v4()),
            partition_count: request.partition_count,
            replication_factor: request.replication_factor,
            configs: request.configs.into_iter().filter_map(|entry| Some((entry.key, entry.value?))).collect(),
        });
        let Command::CreateTopic(CreateTopic { name, .. }) = &command else { unreachable!("it was made above") };
        match self.0.run(&command).map_err(refused)? {
            Decided::TopicCreated { topic_id, partitions, warnings } => {
                let topic = Some(view::created(name.clone(), Some(topic_id), &partitions));
                Ok(Response::new(v1::CreateTopicResponse { topic, index: self.0.index(), warnings }))
            }
            other => panic!("{other:?} to a creation"),
        }
    }

    async fn delete_topic(
        &self,
        _: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn alter_topic(&self, _: Request<v1::AlterTopicRequest>) -> Result<Response<v1::AlterTopicResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn describe_topic_config(
        &self,
        _: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        unreachable!("brokers answer this themselves")
    }

    async fn describe_cluster(
        &self,
        _: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        let image = self.0.machine.lock().image.clone();
        let request = v1::GetMetadataRequest::default();
        let seen = view::metadata(&image, &request);
        Ok(Response::new(v1::DescribeClusterResponse {
            cluster_id: seen.cluster_id,
            index: seen.index,
            brokers: seen.brokers,
            metadata_version: image.version().0,
            ..Default::default()
        }))
    }

    async fn plan_moves(&self, _: Request<v1::PlanMovesRequest>) -> Result<Response<v1::PlanMovesResponse>, Status> {
        let moves = self.0.machine.lock().plan.clone();
        Ok(Response::new(v1::PlanMovesResponse { moves, ..Default::default() }))
    }

    async fn alter_replicas(
        &self,
        request: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        let topic_id = |name: &str| self.0.machine.lock().image.topic_by_name(name).expect("there").topic_id();
        let moves = request.into_inner().moves.into_iter().map(|wanted| ReplicaMove {
            topic_id: topic_id(&wanted.topic),
            partition: PartitionIndex(wanted.partition),
            new_replicas: wanted.new_replicas.into_iter().map(BrokerId).collect(),
        });
        let command = Command::AlterReplicas(AlterReplicas { moves: moves.collect(), move_bytes_per_second: None });
        match self.0.run(&command).map_err(refused)? {
            Decided::ReplicasAltered { results } => {
                let error = |refusal: Rejection| partition_error(ErrorDetail::new(refusal.code, refusal.message));
                let results =
                    results.into_iter().map(|result| v1::AlterReplicasResult { error: result.err().map(error) });
                Ok(Response::new(v1::AlterReplicasResponse { results: results.collect(), index: self.0.index() }))
            }
            other => panic!("{other:?} to an order of replicas"),
        }
    }

    async fn set_broker_drain(
        &self,
        _: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn finalize_version(
        &self,
        _: Request<v1::FinalizeVersionRequest>,
    ) -> Result<Response<v1::FinalizeVersionResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn lose_disk(&self, _: Request<v1::LoseDiskRequest>) -> Result<Response<v1::LoseDiskResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn remove_broker(
        &self,
        _: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn describe_quorum(
        &self,
        _: Request<v1::DescribeQuorumRequest>,
    ) -> Result<Response<v1::DescribeQuorumResponse>, Status> {
        unreachable!("no test sends this on")
    }

    async fn recover_partition(
        &self,
        request: Request<v1::RecoverPartitionRequest>,
    ) -> Result<Response<v1::RecoverPartitionResponse>, Status> {
        let request = request.into_inner();
        let topic_id = self.0.machine.lock().image.topic_by_name(&request.topic).expect("there").topic_id();
        let command = Command::RecoverPartition(RecoverPartition {
            topic_id,
            partition: PartitionIndex(request.partition),
            broker_id: BrokerId(request.broker_id),
            partition_epoch: PartitionEpoch(request.partition_epoch),
            at_ms: 0,
        });
        match self.0.run(&command).map_err(refused)? {
            Decided::PartitionRecovered { recovery } => {
                let recovery = Some(trust::recovery_info(&recovery));
                Ok(Response::new(v1::RecoverPartitionResponse { recovery, index: self.0.index() }))
            }
            other => panic!("{other:?} to a recovery"),
        }
    }

    async fn remove_controller(
        &self,
        _: Request<v1::RemoveControllerRequest>,
    ) -> Result<Response<v1::RemoveControllerResponse>, Status> {
        unreachable!("no test sends this on")
    }
}
