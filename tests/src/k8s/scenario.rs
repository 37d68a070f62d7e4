//! What all scenarios have in common: a load, a fault, a cluster that is well again, and the audit.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use super::{
    Result,
    bed::{Bed, NODES, SAFE_NODE},
    cluster::{BROKERS, Cluster},
    finding::Finding,
    load::{Load, Mark},
    report::Report,
};

/// Something that happens to the release, and what has to come of it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, also that of its topic.
    pub name: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// Plays it under this name; fails if a promise is not kept.
    pub run: fn(&World, &'static str) -> Result<Finding>,
}

/// What a scenario works on.
#[derive(Debug)]
pub struct World<'a> {
    /// Runs kubectl and helm, and reaches the nodes.
    pub bed: &'a Bed,
    /// The release under test.
    pub cluster: Cluster<'a>,
    /// Where everything is written down.
    pub report: Report,
    /// Records acknowledged in each topic, which must be there to the end.
    pub topics: RefCell<BTreeMap<String, u64>>,
}

/// What a fault leaves to be judged.
#[derive(Debug)]
pub struct Done {
    /// Counts and times, in words.
    pub detail: String,
    /// What the pause must not exceed.
    pub bound: Duration,
}

impl Done {
    /// With this bound on the pause.
    pub fn within(bound: Duration, detail: impl Into<String>) -> Result<Self> {
        Ok(Self { detail: detail.into(), bound })
    }
}

impl World<'_> {
    /// Runs a fault under load, and judges the whole by the load's account.
    pub fn under_load(&self, name: &str, fault: impl FnOnce(&Load) -> Result<Done>) -> Result<Finding> {
        self.under_load_with(name, &[], fault)
    }

    /// As [`Self::under_load`], with more flags of `holdfast audit`.
    fn under_load_with(
        &self,
        name: &str,
        flags: &[&str],
        fault: impl FnOnce(&Load) -> Result<Done>,
    ) -> Result<Finding> {
        self.cluster.settle(BROKERS)?;
        let load = Load::start(self.bed, name, flags, self.report.file(name, "audit.log")?)?;
        self.cluster.settle(BROKERS)?;
        let done = fault(&load)?;
        self.cluster.settle(BROKERS)?;
        load.wait_flow()?;
        let account = load.stop()?;
        self.topics.borrow_mut().insert(name.to_owned(), account.acked);
        let finding = Finding { detail: done.detail, account, bound: done.bound };
        self.cluster.spread()?;
        Ok(finding)
    }

    /// Waits until the release is well and the load flows; gives the longest pause of any partition since the mark, ms.
    pub fn pause_until_well(&self, load: &Load, mark: Mark) -> Result<u64> {
        self.cluster.settle(BROKERS)?;
        load.wait_flow()?;
        Ok(load.pause_since(mark))
    }

    /// After a failed scenario: plugs in and powers on every node, ends loads that were given up, and waits until the
    /// release is well. If it does not become so, it is installed again, without the topics of the scenarios before.
    pub fn mend(&self) -> Result {
        for node in (1..=NODES).filter(|node| *node != SAFE_NODE) {
            self.bed.node("plug", node)?;
            self.bed.node("on", node)?;
            self.bed.kubectl(&["uncordon", &format!("node{node}")])?;
        }
        self.bed.kubectl(&["delete", "jobs", "--all", "--wait=false", "--grace-period=1"])?;
        self.cluster.apply(&[])?;
        if self.cluster.settle(BROKERS).is_ok() {
            return self.cluster.spread();
        }
        eprintln!("the release does not become well again; it is installed again");
        self.bed.kubectl(&["delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false"])?;
        self.cluster.uninstall()?;
        self.bed.kubectl_within(&["delete", "pvc", "--all", "--timeout=60s"], "", NEW)?;
        self.topics.borrow_mut().clear();
        self.cluster.apply(&[])?;
        self.cluster.settle(BROKERS)
    }
}

/// How long the claims of a release that is given up may take to go.
const NEW: Duration = Duration::from_secs(70);

/// The middle and the longest of some times, in words.
pub fn spread_of(pauses_ms: &[u64]) -> String {
    let mut sorted = pauses_ms.to_vec();
    sorted.sort_unstable();
    let (middle, longest) = (sorted.get(sorted.len() / 2), sorted.last());
    format!("pause median {} ms, longest {} ms", middle.unwrap_or(&0), longest.unwrap_or(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_told_by_middle_and_longest() {
        assert_eq!(spread_of(&[30, 10, 20]), "pause median 20 ms, longest 30 ms");
        assert_eq!(spread_of(&[]), "pause median 0 ms, longest 0 ms");
    }
}
