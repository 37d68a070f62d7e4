//! Questions to the other configured controllers, by address: they may be of no cluster yet, or unknown to the consensus.
//!
//! Place: `formation`, `quorum` and `health` ask. Each question has a deadline, and all peers are asked at once: one that
//! does not answer delays nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tokio::net::TcpStream;

use holdfast_proto::{
    convert::{optional_id, peer_header},
    ids::{ClusterId, DirectoryId},
    status::classify,
    v1::{
        GetFormationRequest, GetFormationResponse, JoinQuorumRequest, JoinQuorumResponse,
        raft_service_client::RaftServiceClient,
    },
};

use crate::{
    channels::{Channels, Purpose},
    config::Config,
    formation::{PeerAnswer, PeerState},
    identity::DataDir,
    lineage::{Said, recovered_to_wire},
    raft::{Lineages, Sender, Sighting},
};

/// Deadline of one question to one peer.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Deadline of a request to join: it may wait for a change of the membership.
const JOIN_TIMEOUT: Duration = Duration::from_secs(12);

/// Asks. Clones share the connections.
#[derive(Clone)]
pub struct Peers {
    /// Names the controllers to ask, and which address is this one's own.
    pub config: Arc<Config>,
    /// Holds the node id and the directory id that questions carry.
    pub data: Arc<DataDir>,
    /// Connections by address; questions travel with [`Purpose::Calls`].
    pub channels: Channels,
    /// What questions show of this controller's folder, and who answers is compared with.
    pub lineages: Lineages,
}

impl Peers {
    /// Addresses of the others.
    pub fn others(&self) -> impl Iterator<Item = &String> {
        let own = self.config.own_address();
        self.config.peers.iter().filter(move |peer| *peer != own)
    }

    /// Asks every other peer at once for the state of its formation; with a cluster id for its promise.
    pub async fn formation(&self, promise: Option<ClusterId>) -> BTreeMap<String, PeerAnswer> {
        let questions = self.others().map(|peer| async move {
            let answer = self.ask(peer, promise).await.and_then(|response| {
                Ok(PeerState {
                    node_id: response.node_id,
                    formed: response.formed,
                    cluster_id: cluster_of(&response)?,
                    promised_to: response.promised_to,
                    leader: response.leader_node_id,
                })
            });
            (peer.clone(), answer)
        });
        join_all(questions).await.into_iter().collect()
    }

    /// Asks these addresses at once which controllers of the cluster answer there. The others are left out.
    pub async fn sightings(&self, addresses: &BTreeSet<String>, cluster_id: ClusterId) -> Vec<Sighting> {
        let questions = addresses.iter().map(|address| self.identify(address, cluster_id));
        join_all(questions).await.into_iter().flatten().collect()
    }

    /// Asks which controller of the cluster answers at this address. The error says why none does.
    pub async fn identify(&self, address: &str, cluster_id: ClusterId) -> Result<Sighting, String> {
        let response = self.ask(address, None).await?;
        if cluster_of(&response)? != Some(cluster_id) {
            return Err("a controller of another cluster answers there".to_owned());
        }
        let incarnation = response.incarnation_id.to_vec();
        let last_log = response.last_log_index;
        Ok(Sighting { address: address.to_owned(), node_id: response.node_id, incarnation, last_log })
    }

    async fn ask(&self, peer: &str, promise: Option<ClusterId>) -> Result<GetFormationResponse, String> {
        let (identity, said) = self.lineages.said(0).await;
        let request = GetFormationRequest {
            cluster_id: promise.map(ClusterId::to_bytes).unwrap_or_default(),
            source_node_id: identity.node_id,
            peers: self.config.peers.clone(),
            boots: said.boots,
            recovered: said.recovered,
            source_cluster_id: identity.cluster_id.map(ClusterId::to_bytes).unwrap_or_default(),
        };
        let channel = self.channels.get(peer, Purpose::Calls).map_err(|error| error.to_string())?;
        let mut client = RaftServiceClient::new(channel);
        match tokio::time::timeout(ASK_TIMEOUT, client.get_formation(request)).await {
            Ok(Ok(response)) => {
                let response = response.into_inner();
                self.compare(&response).await?;
                Ok(response)
            }
            Ok(Err(status)) => {
                let detail = classify(&status).1;
                self.lineages.answered(&format!("the controller at {peer}"), &detail).await;
                Err(detail.message)
            }
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Refuses the answer of a controller whose folder is an older copy, or is used twice, or that was given up. This one under
    /// another address is not compared.
    async fn compare(&self, response: &GetFormationResponse) -> Result<(), String> {
        if response.node_id == self.data.node_id() {
            return Ok(());
        }
        let sender = Sender { node_id: response.node_id, cluster_id: cluster_of(response)? };
        let said = Said { boots: response.boots.clone(), recovered: response.recovered };
        let heard = self.lineages.hear(sender, &said).await;
        heard.map_err(|detail| format!("controller {}: {}", response.node_id, detail.message))
    }

    /// Asks one peer to take this controller into the quorum of `cluster_id`, or whether it still votes.
    pub async fn join(
        &self,
        peer: &str,
        cluster_id: ClusterId,
        target: u64,
        voted: bool,
    ) -> Result<JoinQuorumResponse, String> {
        let identity = self.data.identity();
        let request = JoinQuorumRequest {
            header: Some(peer_header(cluster_id, target, identity.node_id)),
            node_id: identity.node_id,
            directory_id: DirectoryId::to_bytes(identity.directory_id),
            address: self.config.own_address().to_owned(),
            voted,
            recovered: Some(recovered_to_wire(self.lineages.recovered())),
        };
        let channel = self.channels.get(peer, Purpose::Calls).map_err(|error| error.to_string())?;
        let mut client = RaftServiceClient::new(channel);
        match tokio::time::timeout(JOIN_TIMEOUT, client.join_quorum(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(classify(&status).1.message),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Peers whose system says that nobody listens there. One that does not answer is not counted.
    pub async fn refusing(&self, peers: impl Iterator<Item = &String>) -> usize {
        let attempts = peers.map(|peer| async move {
            let attempt = tokio::time::timeout(ASK_TIMEOUT, TcpStream::connect(peer)).await;
            matches!(attempt, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
        });
        join_all(attempts).await.into_iter().filter(|refuses| *refuses).count()
    }
}

fn cluster_of(response: &GetFormationResponse) -> Result<Option<ClusterId>, String> {
    optional_id(&response.cluster_id, "cluster_id").map_err(|error| error.to_string())
}
