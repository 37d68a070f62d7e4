//! Moves of replicas, drains and the removal of brokers, as operators ask for them. Carried out on the active controller.

use std::{collections::BTreeMap, sync::Arc};

use holdfast_metadata::{
    AlterReplicas, Command, Image, ReplicaMove, Response as Done,
    limits::{MAX_MOVES, MAX_REPLICATION_FACTOR},
    plan,
};
use holdfast_metadata_wire::records::ids;
use holdfast_proto::{
    convert::partition_error,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, PartitionIndex},
    v1::{
        AlterReplicasRequest, AlterReplicasResponse, AlterReplicasResult, PlanMovesRequest, PlanMovesResponse,
        RemoveBrokerRequest, RemoveBrokerResponse, ReplicaMove as MoveMessage, SetBrokerDrainRequest,
        SetBrokerDrainResponse,
    },
};

use super::{
    super::answer::unexpected,
    edge::{AdminEdge, find},
};

impl AdminEdge {
    /// The plan for the newest image that this controller has.
    pub(super) async fn plan(&self, request: PlanMovesRequest) -> Result<PlanMovesResponse, ErrorDetail> {
        let image: Arc<Image> = self.node.view().image();
        let goal = plan::PlanGoal {
            drain: request.drain_brokers.into_iter().map(BrokerId).collect(),
            only_drain: request.only_drain,
        };
        let index = image.index().0;
        let plan = self.reads.plans.run(move || plan::plan(&image, &goal)).await?;
        let moves = plan.moves.into_iter().map(|wanted| MoveMessage {
            topic: wanted.topic,
            partition: wanted.partition.partition.0,
            old_replicas: ids(&wanted.old_replicas),
            new_replicas: ids(&wanted.new_replicas),
        });
        Ok(PlanMovesResponse { moves: moves.collect(), index, problems: plan.problems })
    }

    /// Starts, changes and cancels moves. A topic that is unknown is that move's own refusal.
    pub(super) async fn alter(&self, request: AlterReplicasRequest) -> Result<AlterReplicasResponse, ErrorDetail> {
        // Before any name is looked up, so that an absurd request costs nothing.
        if request.moves.len() > MAX_MOVES {
            let message = format!("{} moves in one request; at most {MAX_MOVES}", request.moves.len());
            return Err(ErrorDetail::new(ErrorCode::InvalidRequest, message));
        }
        let image = self.node.view().image();
        let mut refused = BTreeMap::new();
        let mut moves = Vec::new();
        for (place, wanted) in request.moves.iter().enumerate() {
            match find(&image, &wanted.topic).and_then(|topic| check_count(wanted).map(|()| topic)) {
                Ok(topic) => moves.push(ReplicaMove {
                    topic_id: topic.topic_id(),
                    partition: PartitionIndex(wanted.partition),
                    new_replicas: wanted.new_replicas.iter().copied().map(BrokerId).collect(),
                }),
                Err(detail) => {
                    refused.insert(place, detail);
                }
            }
        }
        let command = AlterReplicas { moves, move_bytes_per_second: request.move_bytes_per_second };
        let (index, results) = match self.carry_out(Command::AlterReplicas(command), false).await? {
            (index, Done::ReplicasAltered { results }) => (index, results),
            (_, answer) => return Err(unexpected(&answer)),
        };
        let mut decided = results.into_iter().map(|result| result.err().map(ErrorDetail::from));
        let error = |place| refused.remove(&place).or_else(|| decided.next().flatten()).map(partition_error);
        let results = (0..request.moves.len()).map(error).map(|error| AlterReplicasResult { error }).collect();
        Ok(AlterReplicasResponse { results, index: index.0 })
    }

    /// Sets or takes a drain mark.
    pub(super) async fn set_drain(
        &self,
        request: SetBrokerDrainRequest,
    ) -> Result<SetBrokerDrainResponse, ErrorDetail> {
        let SetBrokerDrainRequest { broker_id, draining } = request;
        let command = Command::SetBrokerDrain { broker_id: BrokerId(broker_id), draining };
        let (index, _) = self.carry_out(command, false).await?;
        Ok(SetBrokerDrainResponse { index: index.0 })
    }

    /// Forgets a broker that is fenced and holds nothing.
    pub(super) async fn remove(&self, request: RemoveBrokerRequest) -> Result<RemoveBrokerResponse, ErrorDetail> {
        let command = Command::UnregisterBroker { broker_id: BrokerId(request.broker_id) };
        let (index, _) = self.carry_out(command, false).await?;
        Ok(RemoveBrokerResponse { index: index.0 })
    }
}

/// Refuses more replicas than any partition can have.
fn check_count(wanted: &MoveMessage) -> Result<(), ErrorDetail> {
    let count = wanted.new_replicas.len();
    if count <= MAX_REPLICATION_FACTOR as usize {
        return Ok(());
    }
    let message = format!("{count} replicas are more than {MAX_REPLICATION_FACTOR}");
    Err(ErrorDetail::new(ErrorCode::InvalidReplicaAssignment, message))
}
