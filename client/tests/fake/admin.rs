//! The administration of the fake cluster, as each of its brokers serves it.

use bytes::Bytes;
use tonic::{Request, Response, Status};

use holdfast_client::ErrorCode;
use holdfast_proto::{
    status,
    v1::{self, admin_service_server},
};

use super::services::Node;

impl Node {
    fn check_topic(&self, name: &str) -> Result<(), Status> {
        if self.shared.state.lock().topics.contains_key(name) { Ok(()) } else { Err(unknown_topic(name)) }
    }
}

#[tonic::async_trait]
impl admin_service_server::AdminService for Node {
    async fn get_metadata(
        &self,
        request: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        self.check_alive()?;
        let request = request.into_inner();
        let mut changed = self.shared.changed.subscribe();
        while self.shared.state.lock().index < request.min_index {
            drop(changed.changed().await);
        }
        let answer = self.shared.change(|state| {
            state.metadata_calls += 1;
            let brokers = state.brokers.iter().map(|(id, address)| v1::BrokerInfo {
                broker_id: *id,
                client_address: address.clone(),
                ..Default::default()
            });
            let wanted = |name: &String| request.all_topics || request.topics.contains(name);
            let unknown = request.topics.iter().filter(|name| !state.topics.contains_key(*name));
            v1::GetMetadataResponse {
                cluster_id: Bytes::from_static(&[7; 16]),
                index: state.index,
                brokers: brokers.collect(),
                topics: state
                    .topics
                    .iter()
                    .filter(|(name, _)| wanted(name))
                    .map(|(name, topic)| topic_info(name, topic))
                    .collect(),
                unknown_topics: unknown.cloned().collect(),
                ..Default::default()
            }
        });
        Ok(Response::new(answer))
    }

    async fn create_topic(
        &self,
        request: Request<v1::CreateTopicRequest>,
    ) -> Result<Response<v1::CreateTopicResponse>, Status> {
        self.check_alive()?;
        let request = request.into_inner();
        self.shared.change(|state| {
            if state.topics.contains_key(&request.name) {
                return Err(status::status(ErrorCode::TopicAlreadyExists, format!("'{}' exists", request.name)));
            }
            state.index += 1;
            let partition = || super::FakePartition { leader: Some(self.id()), ..Default::default() };
            let partitions = (0..request.partition_count).map(|_| partition()).collect();
            let topic = super::cluster::FakeTopic { id: [state.index as u8; 16], partitions };
            let info = topic_info(&request.name, &topic);
            state.topics.insert(request.name, topic);
            Ok(Response::new(v1::CreateTopicResponse { topic: Some(info), index: state.index, warnings: vec![] }))
        })
    }

    async fn delete_topic(
        &self,
        request: Request<v1::DeleteTopicRequest>,
    ) -> Result<Response<v1::DeleteTopicResponse>, Status> {
        let v1::DeleteTopicRequest { name, topic_id } = request.into_inner();
        self.shared.change(|state| {
            let found = state.topics.get(&name).ok_or_else(|| unknown_topic(&name))?;
            if !topic_id.is_empty() && topic_id != found.id[..] {
                return Err(status::status(ErrorCode::UnknownTopicId, format!("'{name}' has another id")));
            }
            state.topics.remove(&name);
            state.index += 1;
            Ok(Response::new(v1::DeleteTopicResponse { index: state.index }))
        })
    }

    async fn alter_topic(
        &self,
        request: Request<v1::AlterTopicRequest>,
    ) -> Result<Response<v1::AlterTopicResponse>, Status> {
        self.check_topic(&request.into_inner().name)?;
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn describe_topic_config(
        &self,
        request: Request<v1::DescribeTopicConfigRequest>,
    ) -> Result<Response<v1::DescribeTopicConfigResponse>, Status> {
        self.check_topic(&request.into_inner().name)?;
        let state = self.shared.state.lock();
        let limit = state.max_message_bytes.filter(|_| !state.hides_limit).map(|limit| v1::ConfigEntry {
            key: "max.message.bytes".to_owned(),
            value: Some(limit.to_string()),
            is_default: false,
        });
        let configs = limit.into_iter().collect();
        Ok(Response::new(v1::DescribeTopicConfigResponse { configs, ..Default::default() }))
    }

    async fn describe_cluster(
        &self,
        _: Request<v1::DescribeClusterRequest>,
    ) -> Result<Response<v1::DescribeClusterResponse>, Status> {
        self.check_alive()?;
        Ok(Response::new(v1::DescribeClusterResponse::default()))
    }

    async fn plan_moves(&self, _: Request<v1::PlanMovesRequest>) -> Result<Response<v1::PlanMovesResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn alter_replicas(
        &self,
        _: Request<v1::AlterReplicasRequest>,
    ) -> Result<Response<v1::AlterReplicasResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn set_broker_drain(
        &self,
        _: Request<v1::SetBrokerDrainRequest>,
    ) -> Result<Response<v1::SetBrokerDrainResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn finalize_version(
        &self,
        _: Request<v1::FinalizeVersionRequest>,
    ) -> Result<Response<v1::FinalizeVersionResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn lose_disk(&self, _: Request<v1::LoseDiskRequest>) -> Result<Response<v1::LoseDiskResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn remove_broker(
        &self,
        _: Request<v1::RemoveBrokerRequest>,
    ) -> Result<Response<v1::RemoveBrokerResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn describe_quorum(
        &self,
        _: Request<v1::DescribeQuorumRequest>,
    ) -> Result<Response<v1::DescribeQuorumResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn remove_controller(
        &self,
        _: Request<v1::RemoveControllerRequest>,
    ) -> Result<Response<v1::RemoveControllerResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }

    async fn recover_partition(
        &self,
        _: Request<v1::RecoverPartitionRequest>,
    ) -> Result<Response<v1::RecoverPartitionResponse>, Status> {
        Err(status::status(ErrorCode::NoQuorum, "no active controller"))
    }
}

fn unknown_topic(name: &str) -> Status {
    status::status(ErrorCode::UnknownTopicOrPartition, format!("unknown topic '{name}'"))
}

fn topic_info(name: &str, topic: &super::cluster::FakeTopic) -> v1::TopicInfo {
    let partitions = topic.partitions.iter().enumerate().map(|(index, partition)| v1::PartitionInfo {
        partition: index as u32,
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        ..Default::default()
    });
    v1::TopicInfo {
        name: name.to_owned(),
        topic_id: Bytes::copy_from_slice(&topic.id),
        partitions: partitions.collect(),
    }
}
