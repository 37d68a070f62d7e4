//! What Kubernetes says of pods.

use serde_json::Value;

use super::{Result, bed::Bed};

/// One pod, as far as the scenarios look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name, which the pod after it bears as well.
    pub name: String,
    /// What tells it from the pod before it and after it.
    pub uid: String,
    /// The node that it is bound to.
    pub node: Option<u32>,
    /// Its address in the cluster; empty until it has one.
    pub ip: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// It answers its readiness probe.
    pub ready: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// The main container's id on its node, while it has one.
    pub container: Option<String>,
    /// How often the main container was started again.
    pub restarts: u64,
    /// Why a container waits, also one that prepares the pod.
    pub waiting: Option<String>,
    /// Why the main container ended, now or the last time: reason and exit code.
    pub ended: Option<(String, i64)>,
}

/// The pods with these labels, by name.
pub fn pods(bed: &Bed, selector: &str) -> Result<Vec<Pod>> {
    let found = bed.kubectl_json(&["get", "pods", "-l", selector])?;
    let mut pods: Vec<_> = found["items"].as_array().into_iter().flatten().map(read).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pods)
}

fn read(pod: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = &pod["status"];
    let main = &status["containerStatuses"][0];
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let statuses = |kind: &str| status[kind].as_array().cloned().unwrap_or_default();
    let all = [statuses("initContainerStatuses"), statuses("containerStatuses")].concat();
    let waiting = all.iter().find_map(|container| container["state"]["waiting"]["reason"].as_str());
    let ended = [&main["state"]["terminated"], &main["lastState"]["terminated"]].into_iter().find(|it| !it.is_null());
    Pod {
        name: text(&pod["metadata"]["name"]),
        uid: text(&pod["metadata"]["uid"]),
        node: pod["spec"]["nodeName"].as_str().and_then(|name| name.strip_prefix("node")?.parse().ok()),
        ip: text(&status["podIP"]),
        phase: text(&status["phase"]),
        ready: statuses("conditions").iter().any(ready),
        deleting: !pod["metadata"]["deletionTimestamp"].is_null(),
        container: main["containerID"].as_str().map(|id| id.trim_start_matches("containerd://").to_owned()),
        restarts: main["restartCount"].as_u64().unwrap_or(0),
        waiting: waiting.map(str::to_owned),
        ended: ended.map(|it| (text(&it["reason"]), it["exitCode"].as_i64().unwrap_or(-1))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_read_from_what_the_api_tells() {
        let pod = read(&json!({
            "metadata": {"name": "holdfast-broker-2", "uid": "u", "deletionTimestamp": "now"},
            "spec": {"nodeName": "node3"},
            "status": {
                "phase": "Running", "podIP": "10.244.3.10",
                "conditions": [{"type": "Ready", "status": "True"}],
                "initContainerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}],
                "containerStatuses": [{
                    "containerID": "containerd://abc", "restartCount": 1, "state": {"running": {}},
                    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
                }]
            }
        }));
        assert_eq!((pod.node, pod.container.as_deref(), pod.restarts), (Some(3), Some("abc"), 1));
        assert_eq!((pod.ready, pod.deleting, pod.waiting), (true, true, None));
        assert_eq!(pod.ended, Some(("OOMKilled".to_owned(), 137)));
        assert_eq!(read(&json!({})), Pod::default());
    }
}
