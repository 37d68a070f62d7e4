//! The release under test: installing, upgrading, and asking it how it is.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    Error, Result,
    bed::{Bed, NODES, folder, parse},
    pods::{Pod, pods},
    program::Ended,
    wait::{Look, until},
};

/// The release, and the prefix of the names of all that it makes.
pub const RELEASE: &str = "holdfast";
/// Controllers of the release, always.
pub const CONTROLLERS: usize = 3;
/// Brokers of the release, unless a scenario scales it.
pub const BROKERS: usize = 3;
/// How long the whole may take to be well again after any fault that has ended.
const SETTLE: Duration = Duration::from_mins(3);

const ASK: Duration = Duration::from_secs(15);
const HELM: Duration = Duration::from_mins(1);

/// Which of the release's two `StatefulSet`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The quorum of the metadata, [`CONTROLLERS`] pods.
    Controller,
    /// Those that hold the partitions, [`BROKERS`] pods unless a scenario scales it.
    Broker,
}

impl Role {
    /// As in names and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Broker => "broker",
        }
    }

    /// Name of the role's `StatefulSet`.
    pub fn set(self) -> String {
        format!("{RELEASE}-{}", self.name())
    }

    /// Name of the pod with this ordinal.
    pub fn pod(self, ordinal: u64) -> String {
        format!("{}-{ordinal}", self.set())
    }
}

/// The release under test.
#[derive(Debug)]
pub struct Cluster<'a> {
    bed: &'a Bed,
    chart: PathBuf,
    /// Tag of the image that the next [`Self::apply`] installs.
    pub tag: String,
}

impl<'a> Cluster<'a> {
    /// The release of this tree's chart, not installed yet, with the image of this tag.
    pub fn new(bed: &'a Bed, tag: &str) -> Self {
        Self { bed, chart: folder().join("../../deploy/helm/holdfast"), tag: tag.to_owned() }
    }

    /// `helm upgrade --install` with the tests' values and these settings.
    pub fn apply(&self, settings: &[&str]) -> Result {
        let (chart, values) = (self.chart.display().to_string(), folder().join("values.yaml").display().to_string());
        let tag = format!("image.tag={}", self.tag);
        let mut arguments = vec!["upgrade", "--install", RELEASE, &chart, "-f", &values, "--create-namespace"];
        for setting in [&tag].into_iter().map(String::as_str).chain(settings.iter().copied()) {
            // `--set-string` for the tag alone: one that is all digits stays text.
            arguments.extend([if setting.starts_with("image.tag=") { "--set-string" } else { "--set" }, setting]);
        }
        self.bed.helm(&arguments, HELM).map(drop)
    }

    /// `helm uninstall`; the volumes stay. Waits until no node is left; the pod of the chart's test is none.
    pub fn uninstall(&self) -> Result {
        self.bed.helm(&["uninstall", RELEASE, "--ignore-not-found"], HELM)?;
        until("the end of all pods", SETTLE, || {
            let left = self.pods(Role::Controller)?.len() + self.pods(Role::Broker)?.len();
            Ok(if left == 0 { Ok(()) } else { Err(format!("{left} pods")) })
        })
    }

    /// The pods of a role.
    pub fn pods(&self, role: Role) -> Result<Vec<Pod>> {
        let instance = format!("app.kubernetes.io/instance={RELEASE}");
        pods(self.bed, &format!("{instance},app.kubernetes.io/component={}", role.name()))
    }

    /// One pod by its name.
    pub fn pod(&self, role: Role, name: &str) -> Result<Pod> {
        let found = self.pods(role)?.into_iter().find(|pod| pod.name == name);
        found.ok_or_else(|| Error::Failed {
            command: format!("get pod {name}"),
            code: "nothing".to_owned(),
            output: "there is no such pod".to_owned(),
        })
    }

    /// Runs the command line against the bootstrap Service. Gives its end, whatever it is.
    pub fn holdfast(&self, arguments: &[&str], limit: Duration) -> Result<Ended> {
        let bootstrap = bootstrap();
        self.bed.holdfast(&[arguments, &["--bootstrap", &bootstrap]].concat(), limit)
    }

    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.holdfast(&[arguments, &["-o", "json"]].concat(), ASK)?.success()?;
        parse(&format!("holdfast {}", arguments.join(" ")), &text)
    }

    /// What `holdfast cluster status` tells.
    pub fn status(&self) -> Result<Value> {
        self.ask(&["cluster", "status"])
    }

    /// The partitions of a topic, as `holdfast topic describe` tells them.
    pub fn partitions(&self, topic: &str) -> Result<Vec<Value>> {
        let described = self.ask(&["topic", "describe", topic])?;
        Ok(described["partitions"].as_array().cloned().unwrap_or_default())
    }

    /// The pod of the broker that leads a partition.
    pub fn leader(&self, topic: &str, partition: usize) -> Result<Pod> {
        let leader = until(&format!("a leader of {topic}/{partition}"), SETTLE, || {
            let leader = self.partitions(topic)?.get(partition).and_then(|partition| partition["leader"].as_u64());
            Ok(leader.ok_or_else(|| "none".to_owned()))
        })?;
        self.pod(Role::Broker, &Role::Broker.pod(leader))
    }

    /// The pod of the active controller.
    pub fn active_controller(&self) -> Result<Pod> {
        let name = until("an active controller", SETTLE, || {
            let status = self.status()?;
            let active = status["controllers"].as_array().into_iter().flatten().find(|it| it["active"] == true);
            let host = active.and_then(|it| it["address"].as_str()?.split('.').next().map(str::to_owned));
            Ok(host.ok_or_else(|| "none".to_owned()))
        })?;
        self.pod(Role::Controller, &name)
    }

    /// Deletes a pod without grace: its containers are killed, whatever they do.
    pub fn force_delete(&self, names: &[&str]) -> Result {
        let flags = ["delete", "pod", "--grace-period=0", "--force", "--wait=false"];
        self.bed.kubectl(&[&flags, names].concat()).map(drop)
    }

    /// Waits until the release is well: every pod ready on a ready node, every replica in sync, and this many brokers.
    pub fn settle(&self, brokers: usize) -> Result {
        until("a cluster that is well", SETTLE, || self.look(brokers))
    }

    /// Whether the release is well, or why not.
    pub fn look(&self, brokers: usize) -> Result<Look<()>> {
        for (role, count) in [(Role::Controller, CONTROLLERS), (Role::Broker, brokers)] {
            let pods = self.pods(role)?;
            let well = |pod: &&Pod| pod.ready && !pod.deleting;
            if pods.len() != count || pods.iter().filter(well).count() != count {
                let names: Vec<_> = pods.iter().filter(|pod| !well(pod)).map(|pod| pod.name.as_str()).collect();
                return Ok(Err(format!("{} {}s of {count}, not ready: {}", pods.len(), role.name(), names.join(" "))));
            }
        }
        let nodes = self.bed.kubectl_json(&["get", "nodes"])?;
        let ready = nodes["items"].as_array().into_iter().flatten().filter(|node| is_ready(node)).count();
        if ready != NODES as usize {
            return Ok(Err(format!("{ready} of {NODES} nodes are ready")));
        }
        let status = self.status()?;
        let problems: Vec<_> = status["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let voters = status["controllers"].as_array().into_iter().flatten().filter(|it| it["voter"] == true).count();
        let known = status["brokers"].as_array().map_or(0, Vec::len);
        Ok(if !problems.is_empty() {
            Err(problems.join(", "))
        } else if (voters, known) == (CONTROLLERS, brokers) {
            Ok(())
        } else {
            Err(format!("{voters} voters, {known} brokers"))
        })
    }

    /// Spreads the pods over the nodes again, where a fault has left two of a role on one node. The release is well
    /// before and after.
    pub fn spread(&self) -> Result {
        for role in [Role::Controller, Role::Broker] {
            for _ in 0..NODES {
                let mut by_node: BTreeMap<u32, Vec<Pod>> = BTreeMap::new();
                for pod in self.pods(role)? {
                    by_node.entry(pod.node.unwrap_or(0)).or_default().push(pod);
                }
                let Some(crowded) = by_node.values().find(|pods| pods.len() > 1) else { break };
                if by_node.len() >= NODES as usize {
                    break;
                }
                let moving = &crowded[0];
                self.bed.kubectl(&["delete", "pod", &moving.name, "--wait=false"])?;
                self.wait_replaced(role, moving)?;
                self.settle(BROKERS)?;
            }
        }
        Ok(())
    }

    /// Waits until another pod bears the name of this one, and is ready.
    pub fn wait_replaced(&self, role: Role, old: &Pod) -> Result<Pod> {
        until(&format!("the pod after {}", old.name), SETTLE, || {
            let pod = self.pod(role, &old.name)?;
            Ok(if pod.uid == old.uid {
                Err("the old pod is still there".to_owned())
            } else if pod.ready {
                Ok(pod)
            } else {
                Err(format!("{}, not ready, waiting: {}", pod.phase, pod.waiting.as_deref().unwrap_or("for nothing")))
            })
        })
    }

    /// Waits until a `StatefulSet` has rolled to its newest revision.
    pub fn wait_rolled(&self, role: Role) -> Result {
        until(&format!("the roll of {}", role.set()), 2 * SETTLE, || {
            let set = self.bed.kubectl_json(&["get", "statefulset", &role.set()])?;
            let (spec, status) = (&set["spec"], &set["status"]);
            let wanted = spec["replicas"].as_u64();
            let done = status["observedGeneration"] == set["metadata"]["generation"]
                && status["currentRevision"] == status["updateRevision"]
                && status["readyReplicas"].as_u64() == wanted
                && status["updatedReplicas"].as_u64() == wanted;
            let progress = || {
                format!(
                    "{} of {} updated, {} ready",
                    status["updatedReplicas"], spec["replicas"], status["readyReplicas"]
                )
            };
            Ok(if done { Ok(()) } else { Err(progress()) })
        })
    }
}

/// Whether Kubernetes says of a node that it is ready.
pub fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// The bootstrap Service's address.
pub fn bootstrap() -> String {
    format!("{RELEASE}.{}.svc.cluster.local:7070", super::bed::NAMESPACE)
}
