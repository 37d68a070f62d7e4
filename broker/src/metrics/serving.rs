//! The port for metrics.

use std::sync::Arc;

use tokio::task::JoinHandle;

use holdfast_node::metrics::Port;

use super::reading::BrokerMetrics;
use crate::{config::Config, exit::Fatal, here::context::Context};

/// Binds the port, if there is to be one.
pub(crate) async fn bind(config: &Config) -> Result<Option<Port>, Fatal> {
    let Some(address) = &config.metrics_listen else { return Ok(None) };
    let in_use = |error: std::io::Error| Fatal::AddressInUse {
        address: address.to_string(),
        option: "metrics_listen",
        reason: error.to_string(),
    };
    let port = Port::bind(address).await.map_err(in_use)?;
    let bound = port.address().map_err(in_use)?;
    tracing::info!(address = %bound, "metrics are served at /metrics");
    Ok(Some(port))
}

/// Serves what the broker tells until the task ends.
pub(crate) fn serve(port: Port, context: &Arc<Context>) -> JoinHandle<()> {
    tokio::spawn(port.serve(Arc::new(BrokerMetrics::new(Arc::clone(context)))))
}
