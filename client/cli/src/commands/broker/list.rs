//! `holdfast broker ls`, and how `holdfast cluster status` shows brokers.

use std::collections::BTreeSet;

use serde_json::json;

use holdfast_checker::text::render_table;
use holdfast_client::admin::Admin;
use holdfast_proto::v1::BrokerInfo;

use crate::{
    exit::Result,
    output::{Output, print_json, say},
};

pub(super) async fn run(admin: &Admin, output: Output) -> Result {
    let view = admin.describe_cluster().await?;
    match output {
        Output::Json => print_json(&view.brokers.iter().map(as_json).collect::<Vec<_>>()),
        Output::Table => say(with_peers(&view.brokers)),
    }
    Ok(())
}

/// The brokers as a table, what may be long in its last column. Those in `silent` did not answer though they count as
/// alive.
pub fn table(brokers: &[BrokerInfo], silent: &BTreeSet<u32>) -> String {
    let rows = brokers.iter().map(|broker| {
        let [id, state, replicas, leads, rack] = cells(broker, silent.contains(&broker.broker_id));
        [id, state, replicas, leads, rack, broker.client_address.clone()]
    });
    render_table(["BROKER", "STATE", "REPLICAS", "LEADS", "RACK", "CLIENTS"], rows)
}

fn with_peers(brokers: &[BrokerInfo]) -> String {
    let rows = brokers.iter().map(|broker| {
        let [id, state, replicas, leads, rack] = cells(broker, false);
        let (clients, peers) = (broker.client_address.clone(), broker.peer_address.clone());
        [id, state, replicas, leads, rack, versions(broker), clients, peers]
    });
    render_table(["BROKER", "STATE", "REPLICAS", "LEADS", "RACK", "VERSIONS", "CLIENTS", "PEERS"], rows)
}

fn cells(broker: &BrokerInfo, is_silent: bool) -> [String; 5] {
    let rack = if broker.rack.is_empty() { "-" } else { &broker.rack };
    [
        broker.broker_id.to_string(),
        state(broker) + if is_silent { ", not answering" } else { "" },
        broker.replica_count.to_string(),
        broker.leader_count.to_string(),
        rack.to_owned(),
    ]
}

/// A broker for scripts.
pub fn as_json(broker: &BrokerInfo) -> serde_json::Value {
    json!({
        "broker_id": broker.broker_id,
        "client_address": broker.client_address,
        "peer_address": broker.peer_address,
        "rack": broker.rack,
        "fenced": broker.fenced,
        "shutting_down": broker.shutting_down,
        "draining": broker.draining,
        "replica_count": broker.replica_count,
        "leader_count": broker.leader_count,
        "broker_epoch": broker.broker_epoch,
        "min_metadata_version": broker.min_metadata_version,
        "max_metadata_version": broker.max_metadata_version,
    })
}

/// The metadata versions that it supports.
fn versions(broker: &BrokerInfo) -> String {
    format!("{}-{}", broker.min_metadata_version, broker.max_metadata_version)
}

fn state(broker: &BrokerInfo) -> String {
    let life = match (broker.fenced, broker.shutting_down) {
        (true, _) => "fenced",
        (false, true) => "leaving",
        (false, false) => "alive",
    };
    let drain = match (broker.draining, broker.replica_count) {
        (false, _) => "",
        (true, 0) => ", drained",
        (true, _) => ", draining",
    };
    format!("{life}{drain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_emptied_is_told_from_one_that_is_empty() {
        let broker = BrokerInfo { draining: true, replica_count: 3, ..BrokerInfo::default() };
        assert_eq!(state(&broker), "alive, draining");
        assert_eq!(state(&BrokerInfo { fenced: true, replica_count: 0, ..broker.clone() }), "fenced, drained");
        assert_eq!(state(&BrokerInfo { draining: false, shutting_down: true, ..broker }), "leaving");
    }
}
