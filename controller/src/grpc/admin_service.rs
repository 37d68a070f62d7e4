//! `AdminService` of a controller. Any controller answers reads, with the index that they are true at; a write is
//! carried out here if this controller is active, else sent on to the one that is.

use std::{collections::BTreeMap, sync::Arc};

use tonic::{Request, Response, Status};
use uuid::Uuid;

use holdfast_metadata::{AlterTopic, Command, CreateTopic, Image, Response as Done, Topic, TopicConfig, decide};
use holdfast_metadata_wire::view;
use holdfast_proto::{
    convert::{optional_id, required},
    detail::ErrorDetail,
    error::ErrorCode,
    forward::INDEX_WAIT,
    ids::{MetadataIndex, TopicId},
    v1::{
        AlterReplicasRequest, AlterReplicasResponse, AlterTopicRequest, AlterTopicResponse, ConfigEntry,
        CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest, DeleteTopicResponse, DescribeClusterRequest,
        DescribeClusterResponse, DescribeTopicConfigRequest, DescribeTopicConfigResponse, GetMetadataRequest,
        GetMetadataResponse, PlanMovesRequest, PlanMovesResponse, RemoveBrokerRequest, RemoveBrokerResponse,
        SetBrokerDrainRequest, SetBrokerDrainResponse, admin_service_server::AdminService,
    },
};

use super::{admin_read, forward::Forwarder};
use crate::node::Node;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Serves operators and clients.
pub(super) struct AdminEdge {
    pub(super) node: Node,
    pub(super) forwarder: Forwarder,
}

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
        let wait = self.node.view().wait_for(MetadataIndex(request.min_index));
        let Ok(image) = tokio::time::timeout(INDEX_WAIT, wait).await else {
            let message = format!("this controller has not reached index {} in time; ask another", request.min_index);
            return Err(ErrorDetail::new(ErrorCode::DeadlineExceeded, message).into());
        };
        Ok(Response::new(view::metadata(&image, &request)))
    }

    async fn create_topic(
        &self,
        request: Request<CreateTopicRequest>,
    ) -> Result<Response<CreateTopicResponse>, Status> {
        forward_unless_active!(self, request, create_topic);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let name = request.name.clone();
        let command = Command::CreateTopic(self.create_command(request)?);
        match self.carry_out(command, validate_only).await? {
            (index, Done::TopicCreated { topic_id, partitions, warnings }) => {
                let topic_id = Some(topic_id).filter(|_| !validate_only);
                let topic = Some(view::created(name, topic_id, &partitions));
                Ok(Response::new(CreateTopicResponse { topic, index: index.0, warnings }))
            }
            (_, answer) => Err(mismatch(&answer).into()),
        }
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Result<Response<DeleteTopicResponse>, Status> {
        forward_unless_active!(self, request, delete_topic);
        let request = request.into_inner();
        let wanted: Option<TopicId> = optional_id(&request.topic_id, "topic_id")?;
        let image = self.node.view().image();
        let topic_id = find(&image, &request.name)?.topic_id();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != topic_id) {
            let message = format!("topic {} has the id {topic_id}, not {wanted}", request.name);
            return Err(ErrorDetail::new(ErrorCode::UnknownTopicId, message).into());
        }
        let (index, _) = self.carry_out(Command::DeleteTopic { topic_id }, false).await?;
        Ok(Response::new(DeleteTopicResponse { index: index.0 }))
    }

    async fn alter_topic(&self, request: Request<AlterTopicRequest>) -> Result<Response<AlterTopicResponse>, Status> {
        forward_unless_active!(self, request, alter_topic);
        let request = request.into_inner();
        let image = self.node.view().image();
        let command = Command::AlterTopic(AlterTopic {
            topic_id: find(&image, &request.name)?.topic_id(),
            configs: unique(request.configs)?,
            partition_count: request.partition_count,
        });
        match self.carry_out(command, request.validate_only).await? {
            (index, Done::TopicAltered { warnings }) => {
                Ok(Response::new(AlterTopicResponse { index: index.0, warnings }))
            }
            (_, answer) => Err(mismatch(&answer).into()),
        }
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
        let image: Arc<Image> = self.node.view().image();
        Ok(Response::new(admin_read::cluster(&image, &self.node)))
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
}

impl AdminEdge {
    /// Proposes the command, or only says what it would come to (then at index 0).
    pub(super) async fn carry_out(
        &self,
        command: Command,
        validate_only: bool,
    ) -> Result<(MetadataIndex, Done), ErrorDetail> {
        if !validate_only {
            tracing::info!(%command, "administration");
            return self.node.propose(command).await;
        }
        let outcome = decide(&self.node.view().image(), &command);
        Ok((MetadataIndex(0), outcome.result?))
    }

    /// The creation with the cluster's defaults filled in.
    fn create_command(&self, request: CreateTopicRequest) -> Result<CreateTopic, ErrorDetail> {
        let config = self.node.config();
        let or_default = |value: u32, default: u32| if value == 0 { default } else { value };
        let replication_factor = or_default(request.replication_factor, config.default_replication_factor);
        let mut configs = BTreeMap::new();
        for (key, value) in unique(request.configs)? {
            configs.insert(key, required(value, "configs.value")?);
        }
        // The machine's own default need not be written down.
        let min_isr = config.default_min_insync_replicas.min(replication_factor);
        if config.default_min_insync_replicas != TopicConfig::default().min_insync_replicas {
            configs.entry(MIN_INSYNC_REPLICAS.to_owned()).or_insert_with(|| min_isr.to_string());
        }
        Ok(CreateTopic {
            name: request.name,
            topic_id: TopicId(Uuid::new_v4()),
            partition_count: or_default(request.partition_count, config.default_partition_count),
            replication_factor,
            configs,
        })
    }
}

/// Settings by key; a key that stands twice is a mistake.
fn unique(entries: Vec<ConfigEntry>) -> Result<BTreeMap<String, Option<String>>, ErrorDetail> {
    let mut configs = BTreeMap::new();
    for entry in entries {
        if configs.insert(entry.key.clone(), entry.value).is_some() {
            return Err(ErrorDetail::new(ErrorCode::InvalidConfig, format!("{} is given twice", entry.key)));
        }
    }
    Ok(configs)
}

pub(super) fn find<'a>(image: &'a Image, name: &str) -> Result<&'a Topic, ErrorDetail> {
    image
        .topic_by_name(name)
        .ok_or_else(|| ErrorDetail::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic \"{name}\"")))
}

/// The machine answered with another command's answer: a fault of this program.
pub(super) fn mismatch(answer: &Done) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::UnknownServerError, format!("unexpected answer {answer:?}"))
}
