//! What the controllers say, each asked by itself: without a quorum nobody speaks for the others.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::time::timeout;

use holdfast_client::admin::Admin;
use holdfast_local::{NodeName, Role, ports::address};
use holdfast_proto::v1::DescribeClusterResponse;

use crate::{
    connect::Connect,
    exit::{Code, Result},
    folder::data_dir,
    newest::{is_empty, newest},
};

/// How long somebody who knows the controllers is looked for.
const LOOK_UP: Duration = Duration::from_secs(10);
/// How long a controller may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// What the controllers say, and what is known of those that are silent.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All of them, in the order of their addresses.
    pub(super) controllers: Vec<Controller>,
    /// Node id of the active one.
    pub(super) active: Option<u64>,
    /// The brokers that have not registered since the controllers were recovered.
    pub(super) unheard_brokers: Vec<u32>,
    /// The cluster that is asked for, as a broker of it says; who is of another one is not heard.
    pub(super) cluster_id: Option<Vec<u8>>,
}

/// A controller, silent or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Controller {
    /// Node id; `None` if nobody says it.
    pub(super) id: Option<u64>,
    /// Where it is reached, `host:port`.
    pub(super) address: String,
    /// True for a voter.
    pub(super) votes: bool,
    /// What it says itself; `None` if it does not answer.
    pub(super) answer: Option<Answer>,
    /// Its node in the cluster of `holdfast dev`.
    pub(super) node: Option<NodeName>,
    /// Its data folder, if this machine knows it.
    pub(super) folder: Option<PathBuf>,
}

/// How far a controller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Index of the last change of the metadata that it knows to be committed.
    pub(super) index: u64,
    /// The Raft term that it is in.
    pub(super) term: u64,
    /// It holds nothing of the cluster's log: its data folder was empty. It counts for no majority, as nothing is left of
    /// what it knew.
    pub(super) is_empty: bool,
}

impl Seen {
    /// Asks brokers and controllers. Nobody has to answer; `needs_cluster`: they have to be named.
    pub(super) async fn look(connect: &Connect, needs_cluster: bool) -> Result<Self> {
        // Those of this machine say nothing of a cluster that is elsewhere.
        let local: BTreeMap<String, NodeName> = connect.local().map_or_else(BTreeMap::new, |state| {
            let controllers = state.nodes.iter().filter(|node| node.name.role == Role::Controller);
            controllers.map(|node| (address(node.ports.main), node.name)).collect()
        });
        let mut seen = Self::default();
        match timeout(LOOK_UP, connect.any_node()).await {
            Ok(Ok(client)) => {
                let admin = client.admin();
                if let Ok(Ok(view)) = timeout(LOOK_UP, admin.describe_cluster()).await {
                    seen = Self::of(&view);
                }
                seen.add(local.keys());
                seen.ask(&admin).await;
            }
            Ok(Err(failure)) if failure.code == Code::Usage && needs_cluster => return Err(failure),
            Ok(Err(_)) | Err(_) => seen.add(local.keys()),
        }
        for controller in &mut seen.controllers {
            controller.node = local.get(&controller.address).copied();
            controller.folder = controller.node.map(|node| data_dir(None).join("data").join(node.to_string()));
        }
        Ok(seen)
    }

    fn of(view: &DescribeClusterResponse) -> Self {
        let one = |info: &holdfast_proto::v1::ControllerInfo| Controller {
            id: Some(info.node_id),
            address: info.address.clone(),
            votes: info.voter,
            ..Controller::default()
        };
        Self {
            controllers: view.controllers.iter().map(one).collect(),
            active: view.active_controller,
            unheard_brokers: view.unheard_brokers.clone(),
            cluster_id: Some(view.cluster_id.to_vec()).filter(|id| !id.is_empty()),
        }
    }

    /// Takes in addresses of controllers of which nobody has told.
    fn add<'a>(&mut self, addresses: impl Iterator<Item = &'a String>) {
        for address in addresses {
            if !self.controllers.iter().any(|controller| controller.address == *address) {
                self.controllers.push(Controller { address: address.clone(), votes: true, ..Controller::default() });
            }
        }
    }

    async fn ask(&mut self, admin: &Admin) {
        let addresses: Vec<_> = self.controllers.iter().map(|controller| controller.address.clone()).collect();
        let mut answers = admin.describe_each(&addresses, LIMIT).await;
        if let Some(cluster_id) = &self.cluster_id {
            for answer in &mut answers {
                answer.take_if(|view| !is_empty(view) && view.cluster_id != *cluster_id);
            }
        }
        // Who knows most knows best who the others are.
        if let Some(newest) = newest(answers.iter().flatten()) {
            let mut seen = Self::of(newest);
            seen.add(addresses.iter());
            seen.active = seen.active.or_else(|| answers.iter().flatten().find_map(|view| view.active_controller));
            *self = seen;
        }
        for (address, answer) in addresses.iter().zip(answers) {
            let controller = self.controllers.iter_mut().find(|controller| controller.address == *address);
            if let (Some(controller), Some(view)) = (controller, answer) {
                controller.answer = Some(Answer { index: view.index, term: view.term, is_empty: is_empty(&view) });
            }
        }
        self.controllers.sort_by(|a, b| a.address.cmp(&b.address));
    }

    pub(super) fn voters(&self) -> usize {
        self.controllers.iter().filter(|controller| controller.votes).count()
    }

    pub(super) fn majority(&self) -> usize {
        self.voters() / 2 + 1
    }

    /// Voters that answer, with a folder that is empty or with one that is not.
    fn answering(&self, is_empty: bool) -> usize {
        let answers = |one: &&Controller| one.votes && one.answer.is_some_and(|answer| answer.is_empty == is_empty);
        self.controllers.iter().filter(answers).count()
    }

    /// True if one is active, or enough answer for one to be elected within seconds.
    pub(super) fn has_quorum(&self) -> bool {
        self.voters() > 0 && (self.active.is_some() || self.answering(false) >= self.majority())
    }

    /// How many there are, and how many answer.
    pub(super) fn strength(&self) -> String {
        let active = self.active.map_or_else(|| "none is active".to_owned(), |id| format!("{id} is active"));
        let empty = match self.answering(true) {
            0 => String::new(),
            1 => "1 more is empty, ".to_owned(),
            count => format!("{count} more are empty, "),
        };
        match self.voters() {
            0 => "controllers: nobody says which there are".to_owned(),
            voters => format!(
                "controllers: {} of {voters} answer, {empty}a majority is {}; {active}",
                self.answering(false),
                self.majority()
            ),
        }
    }
}
