//! The table of all scenarios.

use super::{clients, kills, nodes, reinstall, rolls, scale, volumes};
use crate::k8s::scenario::Scenario;

/// In the order in which they run, also when only some are asked for.
pub const ALL: [Scenario; 22] = [
    Scenario { name: "helm-test", what: "the chart's own test", run: reinstall::helm_test },
    Scenario { name: "port-forward", what: "a client outside, through one port", run: clients::port_forward },
    Scenario { name: "leader-pod", what: "force-delete of the leader's pod, 20 times", run: kills::leader_pod },
    Scenario {
        name: "controller-pod",
        what: "force-delete of the active controller's pod, 10 times",
        run: kills::controller_pod,
    },
    Scenario { name: "all-brokers", what: "force-delete of all broker pods at once", run: kills::all_brokers },
    Scenario { name: "all-pods", what: "force-delete of every pod at once", run: kills::all_pods },
    Scenario { name: "sigkill", what: "SIGKILL of a broker's and a controller's process", run: kills::sigkill },
    Scenario { name: "oom", what: "a broker over its memory limit", run: kills::out_of_memory },
    Scenario { name: "broker-volumes", what: "each broker's pod and volume deleted in turn", run: volumes::brokers },
    Scenario {
        name: "controller-volumes",
        what: "each controller's pod and volume deleted in turn",
        run: volumes::controllers,
    },
    Scenario { name: "drain", what: "kubectl drain of a node", run: nodes::drain },
    Scenario { name: "eviction", what: "eviction at min ISR is refused", run: nodes::eviction_refused },
    Scenario { name: "power-off", what: "a node loses power and comes back", run: nodes::power_off },
    Scenario { name: "unplug", what: "a node unplugged; its broker acknowledges nothing", run: nodes::unplug },
    Scenario { name: "replaced", what: "a broker on an unplugged node replaced by an empty one", run: nodes::replaced },
    Scenario { name: "roll-setting", what: "helm upgrade with a changed setting", run: rolls::setting },
    Scenario { name: "roll-image", what: "helm upgrade with a new image tag", run: rolls::image },
    Scenario { name: "roll-no-image", what: "a roll to an image that is not there, then back", run: rolls::no_image },
    Scenario {
        name: "roll-bad-setting",
        what: "a roll to a setting that is refused, then back",
        run: rolls::bad_setting,
    },
    Scenario { name: "scale", what: "3 brokers to 5 with rebalance, drained back to 3", run: scale::up_and_down },
    Scenario { name: "reinstall", what: "helm uninstall, install on the kept volumes", run: reinstall::reinstall },
    Scenario { name: "everything", what: "what all scenarios wrote is still there", run: reinstall::everything },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_serve_as_topics_and_labels() {
        let mut names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && name.len() < 40));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
