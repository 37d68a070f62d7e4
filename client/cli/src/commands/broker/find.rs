//! A broker by its id.

use holdfast_client::admin::Admin;
use holdfast_proto::v1::{BrokerInfo, DescribeClusterResponse};

use crate::exit::{Failure, Result};

/// The registered broker with this id.
pub(super) async fn find(admin: &Admin, broker: u32) -> Result<BrokerInfo> {
    registered(admin.describe_cluster().await?, broker)
}

/// The same; `None` for one that is waited for since the controllers were recovered, and that never registered.
pub(super) async fn find_or_expected(admin: &Admin, broker: u32) -> Result<Option<BrokerInfo>> {
    let view = admin.describe_cluster().await?;
    let is_registered = view.brokers.iter().any(|known| known.broker_id == broker);
    if !is_registered && view.unheard_brokers.contains(&broker) {
        return Ok(None);
    }
    registered(view, broker).map(Some)
}

fn registered(view: DescribeClusterResponse, broker: u32) -> Result<BrokerInfo> {
    let known: Vec<_> = view.brokers.iter().map(|broker| broker.broker_id.to_string()).collect();
    view.brokers
        .into_iter()
        .find(|known| known.broker_id == broker)
        .ok_or_else(|| Failure::error(format!("unknown broker '{broker}'; known: {}", known.join(", "))))
}
