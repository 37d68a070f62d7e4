//! Topics and their settings, as operators ask for them. Carried out on the active controller.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{AlterTopic, Command, CreateTopic, Response as Done, TopicConfig};
use holdfast_metadata_wire::{settings, view};
use holdfast_proto::{
    convert::{check_topic_name, optional_id, required},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::TopicId,
    v1::{
        AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest,
        DeleteTopicResponse,
    },
};

use super::{
    super::answer::unexpected,
    edge::{AdminEdge, find},
    limits::check_configs,
};

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl AdminEdge {
    /// Creates a topic, or only says what it would be.
    pub(super) async fn create(&self, request: CreateTopicRequest) -> Result<CreateTopicResponse, ErrorDetail> {
        check_topic_name(&request.name)?;
        check_configs(&request.configs)?;
        let validate_only = request.validate_only;
        let name = request.name.clone();
        let command = Command::CreateTopic(self.create_command(request)?);
        match self.carry_out(command, validate_only).await? {
            (index, Done::TopicCreated { topic_id, partitions, warnings }) => {
                let topic_id = Some(topic_id).filter(|_| !validate_only);
                let topic = Some(view::created(name, topic_id, &partitions));
                Ok(CreateTopicResponse { topic, index: index.0, warnings })
            }
            (_, answer) => Err(unexpected(&answer)),
        }
    }

    /// Deletes a topic; of the id that is named, where one is.
    pub(super) async fn delete(&self, request: DeleteTopicRequest) -> Result<DeleteTopicResponse, ErrorDetail> {
        let wanted: Option<TopicId> = optional_id(&request.topic_id, "topic_id")?;
        let image = self.node.view().image();
        let topic_id = find(&image, &request.name)?.topic_id();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != topic_id) {
            let message = format!("topic {} has the id {topic_id}, not {wanted}", request.name);
            return Err(ErrorDetail::new(ErrorCode::UnknownTopicId, message));
        }
        let (index, _) = self.carry_out(Command::DeleteTopic { topic_id }, false).await?;
        Ok(DeleteTopicResponse { index: index.0 })
    }

    /// Changes a topic's settings and its number of partitions, or only says what would be wrong.
    pub(super) async fn change(&self, request: AlterTopicRequest) -> Result<AlterTopicResponse, ErrorDetail> {
        check_configs(&request.configs)?;
        let image = self.node.view().image();
        let command = Command::AlterTopic(AlterTopic {
            topic_id: find(&image, &request.name)?.topic_id(),
            configs: settings::by_key(request.configs)?,
            partition_count: request.partition_count,
        });
        match self.carry_out(command, request.validate_only).await? {
            (index, Done::TopicAltered { warnings }) => Ok(AlterTopicResponse { index: index.0, warnings }),
            (_, answer) => Err(unexpected(&answer)),
        }
    }

    /// The creation with the cluster's defaults filled in.
    fn create_command(&self, request: CreateTopicRequest) -> Result<CreateTopic, ErrorDetail> {
        let config = self.node.config();
        let or_default = |value: u32, default: u32| if value == 0 { default } else { value };
        let replication_factor = or_default(request.replication_factor, config.default_replication_factor);
        let mut configs = BTreeMap::new();
        for (key, value) in settings::by_key(request.configs)? {
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
