//! Faults with a purpose: the leader of a partition is killed, or the active controller, and what follows is timed.
//!
//! Place: the demo and the fail-over bench. Each fault has three steps: kill, see another node take over, start the
//! killed one again and see it in sync. The next fault comes after that, for two at once would stop writes by design.

use std::time::{Duration, Instant};

use serde::Serialize;

use holdfast_proto::v1::TopicInfo;

use crate::{Error, NodeName, ProcessCluster, Role, probe};

/// How often the cluster is asked while something is waited for.
const POLL: Duration = Duration::from_millis(10);

/// Which node to kill, by what it does at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The leader of this partition of the topic.
    Leader(u32),
    /// The controller that leads the quorum at that moment.
    ActiveController,
}

/// What a fault did.
#[derive(Clone, Debug, Serialize)]
pub struct FaultReport {
    /// The node that was killed.
    pub node: NodeName,
    /// The partition that it led; absent for a controller.
    pub partition: Option<u32>,
    /// Until the metadata named another leader for all that it led, or another active controller.
    #[serde(rename = "takeover_ms", serialize_with = "ms")]
    pub takeover: Duration,
    /// From its new start until every replica was in sync again, or the controller answered.
    #[serde(rename = "recovery_ms", serialize_with = "ms")]
    pub recovery: Duration,
}

fn ms<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1_000.0)
}

impl ProcessCluster {
    /// Kills the target with SIGKILL. Gives its name, and when that was.
    async fn strike(&mut self, topic: &str, target: Target, patience: Duration) -> Result<(NodeName, Instant), Error> {
        let deadline = Instant::now() + patience;
        let node = loop {
            let found = match target {
                Target::Leader(partition) => self.leader(topic, partition).await,
                Target::ActiveController => self.active_controller().await,
            };
            match found {
                Some(node) => break node,
                None if Instant::now() >= deadline => {
                    return Err(self.overdue(patience, "there is no leader to kill".to_owned()));
                }
                None => tokio::time::sleep(POLL).await,
            }
        };
        let struck = Instant::now();
        self.kill(node)?;
        Ok((node, struck))
    }

    /// Waits until others have taken over from a killed node: it leads nothing of the topic, or is not active.
    pub async fn wait_takeover(&self, topic: &str, node: NodeName, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        loop {
            let over = match node.role {
                Role::Broker => self.topic(topic).await.is_some_and(|topic| {
                    topic
                        .partitions
                        .iter()
                        .all(|partition| partition.leader.is_some_and(|leader| leader != node.number))
                }),
                Role::Controller => self.active_controller().await.is_some_and(|active| active != node),
            };
            if over {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.overdue(patience, format!("nobody took over from {node}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until every replica of the topic is in sync.
    pub async fn wait_in_sync(&self, topic: &str, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        loop {
            let lagging = self.topic(topic).await.map(|topic| {
                topic.partitions.iter().filter(|partition| partition.isr.len() < partition.replicas.len()).count()
            });
            match lagging {
                Some(0) => return Ok(()),
                _ if Instant::now() >= deadline => {
                    let missing = lagging.map_or_else(
                        || "no broker answers".to_owned(),
                        |count| format!("{count} partitions of {topic} are under-replicated"),
                    );
                    return Err(self.overdue(patience, missing));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The whole fault: kill, take-over, start, in sync. The node is started also if nobody takes over, and when this is
    /// dropped before.
    pub async fn fault(&mut self, topic: &str, target: Target, patience: Duration) -> Result<FaultReport, Error> {
        let (node, struck) = self.strike(topic, target, patience).await?;
        let mut down = Down { cluster: self, node, is_over: false };
        down.cluster.wait_takeover(topic, node, patience).await?;
        let takeover = struck.elapsed();
        let started = Instant::now();
        down.start()?;
        drop(down);
        self.wait_node(node, patience).await?;
        self.wait_in_sync(topic, patience).await?;
        let partition = match target {
            Target::Leader(partition) => Some(partition),
            Target::ActiveController => None,
        };
        Ok(FaultReport { node, partition, takeover, recovery: started.elapsed() })
    }

    /// The topic as the first broker that answers knows it.
    pub async fn topic(&self, name: &str) -> Option<TopicInfo> {
        for address in self.bootstrap() {
            if let Ok(metadata) = probe::metadata(&address).await {
                return metadata.topics.into_iter().find(|topic| topic.name == name);
            }
        }
        None
    }

    /// The broker that leads a partition, if one does.
    pub async fn leader(&self, topic: &str, partition: u32) -> Option<NodeName> {
        let topic = self.topic(topic).await?;
        let partition = topic.partitions.into_iter().find(|one| one.partition == partition)?;
        partition.leader.map(NodeName::broker)
    }

    /// The active controller, if there is one.
    pub async fn active_controller(&self) -> Option<NodeName> {
        let view = self.describe().await.ok()?;
        let active = view.active_controller?;
        let controller = view.controllers.iter().find(|controller| controller.node_id == active)?;
        self.node_at(&controller.address)
    }

    fn overdue(&self, patience: Duration, missing: String) -> Error {
        Error::NotReady { seconds: patience.as_secs(), missing, logs: self.dir().join("logs") }
    }
}

/// A node that was killed, to be started again.
struct Down<'a> {
    cluster: &'a mut ProcessCluster,
    node: NodeName,
    is_over: bool,
}

impl Down<'_> {
    fn start(&mut self) -> Result<(), Error> {
        self.is_over = true;
        self.cluster.start(self.node)
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        if !self.is_over
            && let Err(error) = self.start()
        {
            eprintln!("{} stays down: {error}", self.node);
        }
    }
}
