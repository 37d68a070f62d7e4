//! What the metrics are read from.

use std::sync::Arc;

use holdfast_log::ListState;
use holdfast_metadata::version::SUPPORTED;
use holdfast_node::metrics::{Samples, Source, Table};

use super::{
    clock, replicas,
    table::{self, TABLE},
};
use crate::here::{context::Context, scrubbed::ScrubCounts, state::Phase};

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
        read_identity(context, samples);
        replicas::read(context, samples);
        read_scrub(context, samples);
        clock::read(context, samples);
    }
}

fn read_identity(context: &Context, samples: &mut Samples) {
    let (identity, data_dir, state) = (&context.identity, &context.logs.data_dir, &context.state);
    let cluster_id = identity.cluster_id().map(|id| id.to_string()).unwrap_or_default();
    let names = [identity.broker_id.to_string(), cluster_id, data_dir.directory_id().to_string()];
    samples.put_info(&table::IDENTITY, names.each_ref().map(String::as_str));
    let now = *state.phase().borrow();
    for (phase, word) in [
        (Phase::Recovering, "recovering"),
        (Phase::Joining, "joining"),
        (Phase::Serving, "serving"),
        (Phase::Stopping, "stopping"),
    ] {
        samples.put_by(&table::PHASE, [word], phase == now);
    }
    samples.put(&table::REGISTERED, identity.broker_epoch().0 != 0);
    let lease_ms = context.lease.until().since(context.clock.now());
    samples.put(&table::LEASE, lease_ms as f64 / 1000.0);
    samples.put(&table::FOLDER_COPIED, data_dir.was_copied());
    samples.put(&table::FOLDER_LIST_LOST, matches!(data_dir.list_state(), ListState::Lost { .. }));
    if let Some(fatal) = state.reason() {
        samples.put_by(&table::ENDING, [&fatal.number().to_string()], true);
    }
}

fn read_scrub(context: &Context, samples: &mut Samples) {
    let ScrubCounts { bytes, ranges, differences, rounds, age } = context.scrubbed.counts();
    samples.put(&table::SCRUBBED, bytes);
    samples.put(&table::SCRUB_ROUNDS, rounds);
    if context.config.scrub_bytes_per_second > 0 {
        samples.put(&table::SCRUB_AGE, age.as_secs_f64());
    }
    samples.put(&table::COMPARED, ranges);
    samples.put(&table::DIFFERENT, differences);
}
