//! What the metrics are read from.

use holdfast_metadata::version::SUPPORTED;
use holdfast_node::metrics::{Samples, Source, Table};

use super::table::{self, TABLE};
use crate::node::Node;

/// All metrics of one controller.
pub struct ControllerMetrics {
    node: Node,
}

impl ControllerMetrics {
    /// Those of this controller.
    pub fn new(node: Node) -> Self {
        Self { node }
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
    }
}
