//! What the metrics are read from.

use std::sync::Arc;

use holdfast_metadata::version::SUPPORTED;
use holdfast_node::metrics::{Samples, Source, Table};

use super::table::{self, TABLE};
use crate::here::context::Context;

/// All metrics of one broker.
pub struct BrokerMetrics {
    context: Arc<Context>,
}

impl BrokerMetrics {
    /// Those of this broker.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Source for BrokerMetrics {
    fn table(&self) -> Table {
        TABLE
    }

    fn read(&self, samples: &mut Samples) {
        let context = &*self.context;
        samples.put_info(&table::BUILD, ["holdfast-broker", env!("CARGO_PKG_VERSION")]);
        samples.put(&table::METADATA_VERSION, context.metadata.look().version().0);
        samples.put(&table::METADATA_VERSION_SUPPORTED, SUPPORTED.max.0);
    }
}
