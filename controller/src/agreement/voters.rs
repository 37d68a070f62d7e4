//! What the controllers say of themselves: asked of every voter at once, each under a deadline.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use parking_lot::Mutex;
use tonic::Code;

use holdfast_metadata::{ControllerVersions, HistoryHash, VersionRange, version::SUPPORTED};
use holdfast_proto::{
    convert::{check_peer, peer_header},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, ControllerId, MetadataIndex},
    v1::{GetControllerStateRequest, GetControllerStateResponse, raft_service_client::RaftServiceClient},
};

use crate::{
    channels::{Channels, Purpose},
    node::Node,
    raft::{Member, Reach},
};

/// How long an answer waits for the index that it is asked about: followers learn what is committed a heartbeat later.
const WAIT_FOR_INDEX: Duration = Duration::from_secs(1);
/// Deadline of one question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a voter said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// What it supports, and its hash at the index, if it knows that.
    State { versions: VersionRange, history: Option<HistoryHash> },
    /// It is there and does not understand the question: a build from before it.
    Nothing,
    /// It is down, or does not answer in time.
    Silent,
}

impl Said {
    /// What it supports; `None` if it did not say.
    pub(crate) fn versions(self) -> Option<VersionRange> {
        match self {
            Self::State { versions, .. } => Some(versions),
            Self::Nothing | Self::Silent => None,
        }
    }

    /// Its hash at the index; `None` if it did not say.
    pub(crate) fn history(self) -> Option<HistoryHash> {
        match self {
            Self::State { history, .. } => history,
            Self::Nothing | Self::Silent => None,
        }
    }
}

/// Asks the voters, and answers for this controller. Clones share what was told last.
#[derive(Clone)]
pub(crate) struct Agreement {
    pub(super) node: Node,
    channels: Channels,
    reach: Reach,
    known: Arc<Mutex<BTreeMap<u64, VersionRange>>>,
}

impl Agreement {
    /// Of this controller, over these connections to the others, which are where `reach` says.
    pub(crate) fn new(node: Node, channels: Channels, reach: Reach) -> Self {
        Self { node, channels, reach, known: Arc::default() }
    }

    /// The metadata versions that a controller supports, as it said last; `None` if it never did.
    pub(crate) fn versions_of(&self, id: u64) -> Option<VersionRange> {
        if id == self.node.id() { Some(SUPPORTED) } else { self.known.lock().get(&id).copied() }
    }

    /// Asks every voter for what it supports and its hash at the index (0: for no hash), this controller included.
    pub(crate) async fn ask(&self, index: MetadataIndex) -> BTreeMap<u64, Said> {
        let own = self.node.id();
        let voters = self.node.members().into_iter().filter(|member| member.voter);
        let questions = voters.map(|voter| async move {
            let said = if voter.id == own {
                Said::State { versions: SUPPORTED, history: self.node.view().history_at(index) }
            } else {
                tokio::time::timeout(ASK_TIMEOUT, self.ask_one(&voter, index)).await.unwrap_or(Said::Silent)
            };
            (voter.id, said)
        });
        let said: BTreeMap<u64, Said> = join_all(questions).await.into_iter().collect();
        let mut known = self.known.lock();
        known.retain(|id, _| said.contains_key(id));
        known.extend(said.iter().filter_map(|(id, said)| Some((*id, said.versions()?))));
        said
    }

    /// What every voter supports, as each says now: what one said earlier may have been of a build that it runs no more.
    pub(crate) async fn voters_versions(&self) -> Vec<ControllerVersions> {
        let said = self.ask(MetadataIndex(0)).await.into_iter();
        said.map(|(id, said)| ControllerVersions { controller_id: ControllerId(id), versions: said.versions() })
            .collect()
    }

    async fn ask_one(&self, voter: &Member, index: MetadataIndex) -> Said {
        let Some(cluster_id) = self.node.cluster_id() else { return Said::Silent };
        let address = self.reach.address(voter.id, &voter.address);
        let Ok(channel) = self.channels.get(&address, Purpose::Calls) else { return Said::Silent };
        let header = Some(peer_header(cluster_id, voter.id, self.node.id()));
        let request = GetControllerStateRequest { header, index: index.0 };
        match RaftServiceClient::new(channel).get_controller_state(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let versions = VersionRange::from_numbers(answer.min_metadata_version, answer.max_metadata_version);
                Said::State { versions, history: HistoryHash::from_bytes(&answer.history_hash) }
            }
            Err(status) if status.code() == Code::Unimplemented => Said::Nothing,
            Err(_) => Said::Silent,
        }
    }

    /// Answers another controller that asks for it.
    pub(crate) async fn answer(
        &self,
        request: GetControllerStateRequest,
    ) -> Result<GetControllerStateResponse, ErrorDetail> {
        let cluster_id: Option<ClusterId> = self.node.cluster_id();
        let cluster_id = cluster_id
            .ok_or_else(|| ErrorDetail::new(ErrorCode::NotController, "no cluster is known to this controller yet"))?;
        check_peer(request.header, cluster_id, self.node.id(), false)?;
        let index = MetadataIndex(request.index);
        // Who is not that far by then tells no hash.
        let _ = tokio::time::timeout(WAIT_FOR_INDEX, self.node.view().wait_for(index)).await;
        let history = self.node.view().history_at(index).filter(|_| request.index > 0);
        Ok(GetControllerStateResponse {
            node_id: self.node.id(),
            min_metadata_version: SUPPORTED.min.0,
            max_metadata_version: SUPPORTED.max.0,
            history_hash: history.map(|hash| hash.to_bytes().to_vec().into()).unwrap_or_default(),
        })
    }
}
