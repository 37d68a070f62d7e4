//! Moves of replicas between brokers (KIP-455), and brokers that are to be emptied or forgotten.
//!
//! A move is a change of the metadata alone: it is answered when it is committed, and the replicas take their time. How
//! far they are, [`Admin::list_topics`] tells.

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerId, MetadataVersion, PartitionIndex},
    v1,
};

use super::{Admin, handle::Repeat};
use crate::error::Error;

/// Most moves in one request.
const MOVES_MAX: usize = 1_000;

/// The replicas that one partition is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Name of the topic.
    pub topic: String,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Replicas that it has, the preferred leader first; only told, not checked.
    pub old_replicas: Vec<BrokerId>,
    /// Replicas that it is to have, the preferred leader first; empty: cancel the move under way.
    pub new_replicas: Vec<BrokerId>,
}

/// Moves that the active controller would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovePlan {
    /// The moves; empty: everything is as it should be.
    pub moves: Vec<Move>,
    /// Partitions that should move but cannot, each with the reason.
    pub problems: Vec<String>,
}

impl Move {
    /// A move of this partition to these brokers, the preferred leader first.
    pub fn to(
        topic: impl Into<String>,
        partition: PartitionIndex,
        replicas: impl IntoIterator<Item = BrokerId>,
    ) -> Self {
        let new_replicas = replicas.into_iter().collect();
        Self { topic: topic.into(), partition, old_replicas: Vec::new(), new_replicas }
    }

    /// The end of the move of this partition that is under way: it gets the replicas back that it had.
    pub fn cancel(topic: impl Into<String>, partition: PartitionIndex) -> Self {
        Self::to(topic, partition, [])
    }

    /// Brokers that get a replica.
    pub fn added(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.new_replicas.iter().copied().filter(|id| !self.old_replicas.contains(id))
    }

    /// Brokers that lose one.
    pub fn removed(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.old_replicas.iter().copied().filter(|id| !self.new_replicas.contains(id))
    }

    fn from_message(message: v1::ReplicaMove) -> Self {
        let ids = |ids: Vec<u32>| ids.into_iter().map(BrokerId).collect();
        Self {
            topic: message.topic,
            partition: PartitionIndex(message.partition),
            old_replicas: ids(message.old_replicas),
            new_replicas: ids(message.new_replicas),
        }
    }

    fn to_message(&self) -> v1::ReplicaMove {
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
        v1::ReplicaMove {
            topic: self.topic.clone(),
            partition: self.partition.0,
            old_replicas: ids(&self.old_replicas),
            new_replicas: ids(&self.new_replicas),
        }
    }
}

impl Admin {
    /// Which replicas would move so that brokers carry equal loads; with `only_drain`, only those that have to leave a
    /// broker that is marked to be emptied, is gone, or is one of `drain`. Changes nothing.
    pub async fn plan_moves(&self, drain: &[BrokerId], only_drain: bool) -> Result<MovePlan, Error> {
        let drain_brokers = drain.iter().map(|id| id.0).collect();
        let request = v1::PlanMovesRequest { drain_brokers, only_drain };
        let (_, response) = self
            .retry("PlanMoves", self.deadline(), Repeat::Read, &request, |mut client, request| async move {
                client.plan_moves(request).await
            })
            .await?;
        let moves = response.moves.into_iter().map(Move::from_message).collect();
        Ok(MovePlan { moves, problems: response.problems })
    }

    /// Starts, replaces or cancels moves, each decided alone; results in the order of the moves. With `limit`, each
    /// broker copies at most so many bytes a second for moves from now on, 0: without a limit.
    ///
    /// More than 1,000 moves go in several requests. An error says that those of the failed request and all after it
    /// were not decided, or that it is in doubt whether the failed ones were.
    pub async fn alter_replicas(
        &self,
        moves: &[Move],
        limit: Option<u64>,
    ) -> Result<Vec<Result<(), ErrorDetail>>, Error> {
        let mut results = Vec::with_capacity(moves.len());
        let mut left = moves;
        loop {
            let (now, later) = left.split_at(left.len().min(MOVES_MAX));
            results.extend(self.alter_some_replicas(now, limit).await?);
            if later.is_empty() {
                return Ok(results);
            }
            left = later;
        }
    }

    async fn alter_some_replicas(
        &self,
        moves: &[Move],
        move_bytes_per_second: Option<u64>,
    ) -> Result<Vec<Result<(), ErrorDetail>>, Error> {
        let moves: Vec<_> = moves.iter().map(Move::to_message).collect();
        let count = moves.len();
        let request = v1::AlterReplicasRequest { moves, move_bytes_per_second };
        let deadline = self.deadline();
        let (address, response) = self
            .retry("AlterReplicas", deadline, Repeat::IfNotDone, &request, |mut client, request| async move {
                client.alter_replicas(request).await
            })
            .await?;
        if response.results.len() != count {
            return Err(Error::Malformed { address, reason: "there is not one result for each move" });
        }
        self.wait_for_index(response.index, deadline).await;
        Ok(response.results.into_iter().map(|result| result.error.map_or(Ok(()), |error| Err(error.into()))).collect())
    }

    /// Marks a broker as one to be emptied, or takes the mark away. A marked broker is given no replica.
    pub async fn set_broker_drain(&self, broker: BrokerId, draining: bool) -> Result<(), Error> {
        let request = v1::SetBrokerDrainRequest { broker_id: broker.0, draining };
        let deadline = self.deadline();
        // Twice is the same as once.
        let (_, response) = self
            .retry("SetBrokerDrain", deadline, Repeat::Always, &request, |mut client, request| async move {
                client.set_broker_drain(request).await
            })
            .await?;
        self.wait_for_index(response.index, deadline).await;
        Ok(())
    }

    /// Makes a newer metadata version the one that the cluster uses, once every broker and every voter supports it; with
    /// `validate_only` says whether that could be done. There is no way back (KIP-584). Gives the version before.
    pub async fn finalize_version(
        &self,
        version: MetadataVersion,
        validate_only: bool,
    ) -> Result<MetadataVersion, Error> {
        let request = v1::FinalizeVersionRequest { version: version.0, validate_only };
        let deadline = self.deadline();
        // Twice is the same as once.
        let (_, response) = self
            .retry("FinalizeVersion", deadline, Repeat::Always, &request, |mut client, request| async move {
                client.finalize_version(request).await
            })
            .await?;
        self.wait_for_index(response.index, deadline).await;
        Ok(MetadataVersion(response.version_before))
    }

    /// Forgets a broker that is fenced and holds no replica.
    pub async fn remove_broker(&self, broker: BrokerId) -> Result<(), Error> {
        let request = v1::RemoveBrokerRequest { broker_id: broker.0 };
        let deadline = self.deadline();
        let (_, response) = self
            .retry("RemoveBroker", deadline, Repeat::IfNotDone, &request, |mut client, request| async move {
                client.remove_broker(request).await
            })
            .await?;
        self.wait_for_index(response.index, deadline).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_knows_who_comes_and_who_goes() {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let message = v1::ReplicaMove {
            topic: "orders".to_owned(),
            partition: 3,
            old_replicas: vec![1, 2, 3],
            new_replicas: vec![4, 2, 3],
        };
        let one = Move::from_message(message.clone());
        assert_eq!(one.added().collect::<Vec<_>>(), ids(&[4]));
        assert_eq!(one.removed().collect::<Vec<_>>(), ids(&[1]));
        assert_eq!(one.to_message(), message);
        assert!(Move::cancel("orders", PartitionIndex(3)).to_message().new_replicas.is_empty());
    }
}
