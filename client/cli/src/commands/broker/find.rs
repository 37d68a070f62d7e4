//! A broker by its id.

use holdfast_client::admin::Admin;
use holdfast_proto::v1::BrokerInfo;

use crate::exit::{Failure, Result};

/// The registered broker with this id.
pub(super) async fn find(admin: &Admin, broker: u32) -> Result<BrokerInfo> {
    let view = admin.describe_cluster().await?;
    let known: Vec<_> = view.brokers.iter().map(|broker| broker.broker_id.to_string()).collect();
    view.brokers
        .into_iter()
        .find(|known| known.broker_id == broker)
        .ok_or_else(|| Failure::error(format!("unknown broker '{broker}'; known: {}", known.join(", "))))
}
