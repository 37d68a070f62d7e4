//! What the metrics are read from.

use holdfast_metadata::version::SUPPORTED;
use holdfast_node::metrics::{Samples, Source, Table};
use holdfast_proto::v1::ClockDistrustReason;

use super::{
    cluster,
    table::{self, TABLE},
};
use crate::{
    clocks::Clocks,
    node::Node,
    raft::{Lineages, Members, Refused},
};

/// Every reason for which a broker does not trust its clock, with the word for it.
const CLOCK_REASONS: [(ClockDistrustReason, &str); 6] = [
    (ClockDistrustReason::Unconfirmed, "unconfirmed"),
    (ClockDistrustReason::Started, "started"),
    (ClockDistrustReason::Jumped, "jumped"),
    (ClockDistrustReason::Differs, "differs"),
    (ClockDistrustReason::Split, "split"),
    (ClockDistrustReason::Unheard, "unheard"),
];

/// All metrics of one controller.
pub struct ControllerMetrics {
    node: Node,
    lineages: Lineages,
}

impl ControllerMetrics {
    /// Those of this controller.
    pub fn new(node: Node, lineages: Lineages) -> Self {
        Self { node, lineages }
    }
}

impl Source for ControllerMetrics {
    fn table(&self) -> Table {
        TABLE
    }

    fn read(&self, samples: &mut Samples) {
        let image = self.node.view().image();
        samples.put_info(&table::BUILD, ["holdfast-controller", env!("CARGO_PKG_VERSION")]);
        samples.put(&table::METADATA_VERSION, image.version().0);
        samples.put(&table::METADATA_VERSION_SUPPORTED, SUPPORTED.max.0);
        self.read_quorum(samples);
        cluster::read(&image, samples);
        if self.node.is_active() {
            self.read_clocks(samples);
        }
    }
}

impl ControllerMetrics {
    fn read_quorum(&self, samples: &mut Samples) {
        let node = &self.node;
        let (node_id, cluster_id) = (node.id().to_string(), node.cluster_id().map(|id| id.to_string()));
        samples.put_info(&table::IDENTITY, [&node_id, cluster_id.as_deref().unwrap_or_default()]);
        samples.put(&table::ACTIVE, node.is_active());
        samples.put(&table::TERM, node.role().borrow().term);
        if let Some(heard) = node.leader_heard() {
            samples.put(&table::LEADER_HEARD, heard.as_secs_f64());
        }
        samples.put(&table::APPLIED, node.view().applied().borrow().index.0);
        let members = Members::of(node.consensus());
        if let Some(committed) = members.committed {
            samples.put(&table::COMMITTED, committed);
        }
        let voters = || members.list.iter().filter(|member| member.voter);
        samples.put(&table::VOTERS, voters().count());
        samples.put(&table::VOTES, voters().any(|member| member.id == node.id()));
        let Refused { stale, given_up } = self.lineages.refused();
        samples.put_by(&table::REFUSED, ["stale_folder"], stale);
        samples.put_by(&table::REFUSED, ["given_up"], given_up);
    }

    fn read_clocks(&self, samples: &mut Samples) {
        let (node, image) = (&self.node, self.node.view().image());
        let (term, active_ms) = (node.role().borrow().term, node.active_ms(2 * Clocks::grace_ms()));
        let alive = image.brokers().iter().filter(|(_, broker)| !broker.fenced);
        let told: Vec<ClockDistrustReason> = alive
            .filter_map(|(broker_id, _)| node.clocks().distrust_of(*broker_id, term, active_ms))
            .map(|distrust| distrust.reason())
            .collect();
        for (reason, word) in CLOCK_REASONS {
            let count = told.iter().filter(|told| **told == reason).count();
            samples.put_by(&table::CLOCKS, [word], count);
        }
    }
}
