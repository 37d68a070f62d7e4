//! What administration asks of the active controller.

use std::{future::Future, time::Duration};

use futures::FutureExt;
use tonic::{Request, Response, Status, transport::Channel};

use holdfast_metadata::{plan::PlanGoal, trust::LostDisk};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerId, MetadataIndex, MetadataVersion},
    v1::{self, admin_service_client::AdminServiceClient},
};

use super::{
    controllers::{Controllers, of_a_cluster},
    retry::Repeat,
};
use crate::{
    messages::{cluster, malformed, moves, quorum, recovery, topics},
    services::{
        admin::{
            cluster::{ClusterStatus, FinalizedVersion},
            controllers::ControllerAdmin,
            moves::{ChangedReplicas, MovePlan, ReplicaChange},
            quorum::{QuorumStatus, Removal, RemovalPlan},
            recovery::{DiskOrder, RecoveredPartition, RecoveryOrder},
            topics::{ChangedTopic, CreatedTopic, NewTopic, TopicChange, TopicDeletion},
        },
        other_nodes::RemoteAnswer,
    },
};

/// How long a call may take in all.
const DEADLINE: Duration = Duration::from_secs(15);

/// What a controller is given at least to answer one attempt.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

impl Controllers {
    async fn administer<Q, A, F>(
        &self,
        repeat: Repeat,
        message: Q,
        send: impl Fn(AdminServiceClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, ErrorDetail>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let attempt = |channel, timeout: Duration| {
            let mut request = Request::new(message.clone());
            request.set_timeout(timeout.max(SHORTEST_ATTEMPT));
            send(Self::admin(channel), request)
        };
        self.call_for_clients(DEADLINE, repeat, attempt).await
    }
}

/// Asks for something by the call of this name.
macro_rules! ask {
    ($controllers:ident, $repeat:ident, $method:ident, $message:expr) => {
        $controllers
            .administer(Repeat::$repeat, $message, |mut client, request| async move { client.$method(request).await })
    };
}

impl ControllerAdmin for Controllers {
    fn create_topic(&self, topic: NewTopic) -> RemoteAnswer<'_, CreatedTopic> {
        async move {
            let answer = ask!(self, IfNotDone, create_topic, topics::create_request(topic)).await?;
            topics::created(answer).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }

    fn delete_topic(&self, deletion: TopicDeletion) -> RemoteAnswer<'_, MetadataIndex> {
        async move {
            let answer = ask!(self, IfNotDone, delete_topic, topics::delete_request(deletion)).await?;
            Ok(MetadataIndex(answer.index))
        }
        .boxed()
    }

    fn alter_topic(&self, change: TopicChange) -> RemoteAnswer<'_, ChangedTopic> {
        async move {
            let answer = ask!(self, IfNotDone, alter_topic, topics::alter_request(change)).await?;
            Ok(topics::changed(answer))
        }
        .boxed()
    }

    fn describe_cluster(&self) -> RemoteAnswer<'_, ClusterStatus> {
        async move {
            let answer = self
                .administer(Repeat::Always, v1::DescribeClusterRequest {}, |mut client, request| async move {
                    of_a_cluster(client.describe_cluster(request).await)
                })
                .await?;
            cluster::status(answer).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }

    fn plan_moves(&self, goal: PlanGoal) -> RemoteAnswer<'_, MovePlan> {
        async move {
            let answer = ask!(self, Always, plan_moves, moves::plan_request(goal)).await?;
            Ok(moves::plan(answer))
        }
        .boxed()
    }

    fn alter_replicas(&self, change: ReplicaChange) -> RemoteAnswer<'_, ChangedReplicas> {
        async move {
            let asked = change.moves.len();
            let answer = ask!(self, IfNotDone, alter_replicas, moves::alter_request(change)).await?;
            moves::changed(answer, asked).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }

    fn set_broker_drain(&self, broker_id: BrokerId, draining: bool) -> RemoteAnswer<'_, MetadataIndex> {
        async move {
            let request = v1::SetBrokerDrainRequest { broker_id: broker_id.0, draining };
            let answer = ask!(self, Always, set_broker_drain, request).await?;
            Ok(MetadataIndex(answer.index))
        }
        .boxed()
    }

    fn finalize_version(&self, version: MetadataVersion, validate_only: bool) -> RemoteAnswer<'_, FinalizedVersion> {
        async move {
            let request = v1::FinalizeVersionRequest { version: version.0, validate_only };
            // Twice is the same as once.
            let answer = ask!(self, Always, finalize_version, request).await?;
            let before = MetadataVersion(answer.version_before);
            Ok(FinalizedVersion { index: MetadataIndex(answer.index), before })
        }
        .boxed()
    }

    fn remove_broker(&self, broker_id: BrokerId) -> RemoteAnswer<'_, MetadataIndex> {
        async move {
            let request = v1::RemoveBrokerRequest { broker_id: broker_id.0 };
            let answer = ask!(self, IfNotDone, remove_broker, request).await?;
            Ok(MetadataIndex(answer.index))
        }
        .boxed()
    }

    fn lose_disk(&self, order: DiskOrder) -> RemoteAnswer<'_, (LostDisk, MetadataIndex)> {
        async move {
            // Twice is the same as once, but for what it counts.
            let answer = ask!(self, IfNotDone, lose_disk, recovery::disk_request(order)).await?;
            recovery::lost_disk(answer).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }

    fn recover_partition(&self, order: RecoveryOrder) -> RemoteAnswer<'_, RecoveredPartition> {
        async move {
            let answer = ask!(self, IfNotDone, recover_partition, recovery::request(order)).await?;
            recovery::recovered(answer).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }

    fn describe_quorum(&self) -> RemoteAnswer<'_, QuorumStatus> {
        async move {
            let answer = ask!(self, Always, describe_quorum, v1::DescribeQuorumRequest {}).await?;
            Ok(quorum::status(answer))
        }
        .boxed()
    }

    fn remove_controller(&self, removal: Removal) -> RemoteAnswer<'_, RemovalPlan> {
        async move {
            let answer = ask!(self, IfNotDone, remove_controller, quorum::removal_request(removal)).await?;
            quorum::removed(answer).map_err(|error| malformed::answer(&error))
        }
        .boxed()
    }
}
