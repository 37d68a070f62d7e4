//! The decision, as a function of what the peers answered. Pure.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::ids::ClusterId;

/// What a controller says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Raft id, random and kept in its data folder.
    pub node_id: u64,
    /// True once its log holds a membership.
    pub formed: bool,
    /// The cluster that its folder is bound to.
    pub cluster_id: Option<ClusterId>,
    /// The initiator that it gave its promise to; 0 if none.
    pub promised_to: u64,
    /// The active controller, if it heard it a moment ago; else 0.
    pub leader: u64,
}

/// A peer's answer, or why there is none.
pub type PeerAnswer = Result<PeerState, String>;

/// What the deciding controller knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its address among the peers.
    pub address: String,
    /// From its identity file. `formed` is false and `leader` 0: once formed, nothing is left to decide.
    pub state: PeerState,
    /// The only cluster that its configuration lets it belong to; `None` if it names none.
    pub configured: Option<ClusterId>,
}

/// What one round of questions comes to; the task carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Ask again later. The sentence says what is waited for.
    Wait(String),
    /// A cluster is formed, and this folder is no member that it could reach yet: bind to it and wait for its leader.
    Join(ClusterId),
    /// Every peer is there and unformed: ask for promises.
    AskPromises,
    /// Every peer gave its promise: write the first membership, node ids by address.
    Initialize(BTreeMap<String, u64>),
}

/// Decides. `answers` holds one entry for each configured peer but this one, by address. The `wanted` cluster is the
/// one that the answers are promises for; `None` before promises were asked for.
pub fn decide(own: &Own, answers: &BTreeMap<String, PeerAnswer>, wanted: Option<ClusterId>) -> Decision {
    let states: BTreeMap<&String, PeerState> =
        answers.iter().filter_map(|(address, answer)| answer.as_ref().ok().map(|state| (address, *state))).collect();

    if let Some((address, formed)) = states.iter().find(|(_, state)| state.formed) {
        return match (formed.cluster_id, own.state.cluster_id) {
            (Some(theirs), None) => match own.configured.filter(|ours| *ours != theirs) {
                Some(ours) => Decision::Wait(format!(
                    "{address} belongs to cluster {theirs}, but cluster_id is {ours} here: correct cluster_id or peers"
                )),
                None => Decision::Join(theirs),
            },
            (Some(theirs), Some(ours)) if theirs == ours => Decision::Wait(format!(
                "cluster {ours} is formed; waiting for its active controller to take in or to reach this node, id {}",
                own.state.node_id
            )),
            (Some(theirs), Some(ours)) => Decision::Wait(format!(
                "{address} belongs to cluster {theirs}, but this folder is bound to cluster {ours}: check data_dir \
                 and peers; a folder that was never formed may be emptied to join as a new node"
            )),
            (None, _) => Decision::Wait(format!("{address} is formed, but does not tell its cluster")),
        };
    }

    let initiator = answers.keys().chain([&own.address]).min().unwrap_or(&own.address);
    if *initiator != own.address {
        return Decision::Wait(format!("no cluster is formed yet; waiting for {initiator} to form it"));
    }

    // It learned of a formed cluster, or promised another: it initiates nothing, least of all under that cluster's id.
    if let Some(bound) = own.state.cluster_id
        && own.state.promised_to != own.state.node_id
    {
        return Decision::Wait(format!(
            "this folder is bound to cluster {bound}, which another controller formed and nobody here is part of: \
             start its controllers, or empty the data folders of all controllers if that cluster is lost"
        ));
    }

    let silent: Vec<String> = answers
        .iter()
        .filter_map(|(address, answer)| answer.as_ref().err().map(|e| format!("{address} ({e})")))
        .collect();
    if !silent.is_empty() {
        return Decision::Wait(format!(
            "forming needs an answer of every controller; waiting for {}",
            silent.join(", ")
        ));
    }

    let node_ids: BTreeSet<u64> = states.values().map(|state| state.node_id).chain([own.state.node_id]).collect();
    if node_ids.len() != states.len() + 1 {
        return Decision::Wait("two addresses of 'peers' lead to one controller; check the list".to_owned());
    }

    let bound_elsewhere = states.iter().find(|(_, state)| {
        state.cluster_id.is_some()
            && (state.cluster_id != own.state.cluster_id || state.promised_to != own.state.node_id)
    });
    if let Some((address, state)) = bound_elsewhere {
        return Decision::Wait(format!(
            "{address} has promised to join cluster {} with controller {}, which nobody has formed: if the disk of \
             that controller is lost, empty the data folders of the unformed controllers",
            state.cluster_id.map_or_else(String::new, |id| id.to_string()),
            state.promised_to
        ));
    }

    match wanted {
        Some(wanted)
            if own.state.cluster_id == Some(wanted) && states.values().all(|s| s.cluster_id == Some(wanted)) =>
        {
            let others = states.into_iter().map(|(address, state)| (address.clone(), state.node_id));
            Decision::Initialize(others.chain([(own.address.clone(), own.state.node_id)]).collect())
        }
        _ => Decision::AskPromises,
    }
}
