//! The task that asks the peers until this controller is formed, and the answer to those who ask.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use uuid::Uuid;

use holdfast_proto::{
    convert::{optional_id, required_id},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, DirectoryId, IncarnationId},
    v1::{GetFormationRequest, GetFormationResponse},
};

use super::decide::{Decision, Own, PeerState, decide};
use crate::{
    config::Config,
    identity::{DataDir, Identity},
    lineage::Said,
    peers::Peers,
    raft::{self, BindError, Consensus, Lineages, Members, Sender},
};

/// The same reason to wait is logged again after so many rounds.
const REPEAT_LOG_ROUNDS: u32 = 100;

/// Forms or joins the cluster. See [`crate::formation`].
pub struct Formation {
    /// The other configured controllers: who is asked in each round.
    pub peers: Peers,
    /// Knows whether a membership is written, and writes the first one.
    pub consensus: Consensus,
}

/// Why a formation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The consensus stopped or refuses the first membership.
    #[error(transparent)]
    Consensus(#[from] raft::Error),
}

impl Formation {
    /// Runs until the log holds a membership.
    pub async fn run(self) -> Result<(), Error> {
        let mut said: Option<(String, u32)> = None;
        while !self.consensus.is_formed().await? {
            if let Some(why) = self.round().await? {
                let rounds = said.as_ref().filter(|(last, _)| *last == why).map_or(0, |(_, rounds)| rounds + 1);
                if rounds.is_multiple_of(REPEAT_LOG_ROUNDS) {
                    tracing::info!(node_id = self.peers.data.node_id(), "not formed: {why}");
                }
                said = Some((why, rounds));
            }
            self.pause().await;
        }
        let cluster_id = self.peers.data.cluster_id().map(|id| id.to_string());
        tracing::info!(node_id = self.peers.data.node_id(), cluster_id, "this controller belongs to a formed cluster");
        Ok(())
    }

    /// Waits for the next round, or until the leader's first entry makes another one needless.
    async fn pause(&self) {
        let interval = Duration::from_millis(self.peers.config.formation_interval_ms);
        self.consensus.wait_for_entry(interval).await;
    }

    /// Asks everyone once and does what follows. Returns what is waited for.
    async fn round(&self) -> Result<Option<String>, Error> {
        let answers = self.peers.formation(None).await;
        match decide(&self.own(), &answers, None) {
            Decision::Wait(why) => Ok(Some(why)),
            Decision::Join(cluster_id) => {
                self.bind(cluster_id, 0).await?;
                Ok(None)
            }
            Decision::Initialize(_) | Decision::AskPromises => self.ask_promises().await,
        }
    }

    async fn ask_promises(&self) -> Result<Option<String>, Error> {
        let own = self.peers.data.identity();
        let proposed =
            own.cluster_id.or(self.peers.config.cluster_id.map(ClusterId)).unwrap_or(ClusterId(Uuid::new_v4()));
        // The own promise first: from here on this folder initiates no other cluster.
        let bound = self.bind(proposed, own.node_id).await?;
        let Some(cluster_id) = bound.cluster_id.filter(|_| bound.promised_to == own.node_id) else {
            // Somebody else's promise was given in between; the next round sees it.
            return Ok(None);
        };
        let answers = self.peers.formation(Some(cluster_id)).await;
        match decide(&self.own(), &answers, Some(cluster_id)) {
            Decision::Initialize(members) => self.initialize(cluster_id, members).await.map(|()| None),
            Decision::Wait(why) => Ok(Some(why)),
            Decision::AskPromises | Decision::Join(_) => Ok(Some("waiting for the promises of all".to_owned())),
        }
    }

    async fn initialize(&self, cluster_id: ClusterId, members: BTreeMap<String, u64>) -> Result<(), Error> {
        tracing::info!(%cluster_id, ?members, "every configured controller promised: forming the cluster");
        Ok(self.consensus.form(members).await?)
    }

    async fn bind(&self, cluster_id: ClusterId, promised_to: u64) -> Result<Identity, Error> {
        Ok(self.peers.lineages.bind(cluster_id, promised_to).await?)
    }

    fn own(&self) -> Own {
        let identity = self.peers.data.identity();
        Own {
            address: self.peers.config.own_address().to_owned(),
            state: PeerState {
                node_id: identity.node_id,
                formed: false,
                cluster_id: identity.cluster_id,
                promised_to: identity.promised_to,
                leader: 0,
            },
            configured: self.peers.config.cluster_id.map(ClusterId),
        }
    }
}

/// Answers a peer's question, and gives the promise that it asks for.
pub async fn answer_formation(
    config: &Config,
    data: &Arc<DataDir>,
    consensus: &Consensus,
    lineages: &Lineages,
    leader: Option<u64>,
    request: GetFormationRequest,
) -> Result<GetFormationResponse, ErrorDetail> {
    let formed =
        consensus.is_formed().await.map_err(|error| ErrorDetail::new(ErrorCode::ShuttingDown, error.to_string()))?;
    // Before it is given anything: who was restored to before its own promise does not ask for others'.
    if request.source_node_id != data.node_id() {
        let cluster_id = optional_id(&request.source_cluster_id, "source_cluster_id")?;
        let sender = Sender { node_id: request.source_node_id, cluster_id };
        lineages.hear(sender, &Said { boots: request.boots.clone(), recovered: request.recovered }).await?;
    }
    if !request.cluster_id.is_empty() && !formed {
        let wanted: ClusterId = required_id(&request.cluster_id, "cluster_id")?;
        check_promise(config, wanted, &request)?;
        let bound = lineages.bind(wanted, request.source_node_id).await;
        bound.map_err(|error| ErrorDetail::new(ErrorCode::KafkaStorageError, error.to_string()))?;
    }
    let (identity, said) = lineages.said(request.source_node_id).await;
    Ok(GetFormationResponse {
        formed,
        node_id: identity.node_id,
        directory_id: DirectoryId::to_bytes(identity.directory_id),
        cluster_id: identity.cluster_id.map(ClusterId::to_bytes).unwrap_or_default(),
        promised_to: identity.promised_to,
        leader_node_id: leader.unwrap_or(0),
        incarnation_id: IncarnationId::to_bytes(data.incarnation_id()),
        last_log_index: Members::of(consensus).last_log,
        boots: said.boots,
        recovered: said.recovered,
    })
}

/// Refuses a promise that the configuration speaks against.
fn check_promise(config: &Config, wanted: ClusterId, request: &GetFormationRequest) -> Result<(), ErrorDetail> {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    let (ours, theirs) = (sorted(&config.peers), sorted(&request.peers));
    if ours != theirs {
        let message = format!("'peers' differ: {theirs:?} at the initiator, {ours:?} here; make them the same");
        return Err(ErrorDetail::new(ErrorCode::InvalidConfig, message));
    }
    if let Some(ours) = config.cluster_id
        && ClusterId(ours) != wanted
    {
        let message = format!("'cluster_id' is {ours} here; the initiator wants to form {wanted}");
        return Err(ErrorDetail::new(ErrorCode::InconsistentClusterId, message));
    }
    Ok(())
}
