//! Asks a cluster how it is, over gRPC, with nothing but the generated client.

use std::{collections::BTreeSet, time::Duration};

use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use holdfast_net::Connector;
use holdfast_proto::{
    limits::MAX_MESSAGE_BYTES,
    v1::{
        DescribeClusterRequest, DescribeClusterResponse, GetMetadataRequest, GetMetadataResponse,
        admin_service_client::AdminServiceClient,
    },
};

/// How long one node is waited for.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// What the node at this address knows of the cluster; the error is text for people.
pub async fn describe(address: &str) -> Result<DescribeClusterResponse, String> {
    let answer = connect(address)?.describe_cluster(DescribeClusterRequest {}).await;
    answer.map(tonic::Response::into_inner).map_err(|status| explain(address, &status))
}

/// All topics as the node at this address knows them.
pub async fn metadata(address: &str) -> Result<GetMetadataResponse, String> {
    let request = GetMetadataRequest { all_topics: true, ..GetMetadataRequest::default() };
    let answer = connect(address)?.get_metadata(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| explain(address, &status))
}

/// Fails unless the node at this address says itself that it serves. What the cluster knows of it may be of the process
/// before it.
pub async fn ready(address: &str) -> Result<(), String> {
    let request = HealthCheckRequest { service: "ready".to_owned() };
    let answer = HealthClient::new(channel(address)?).check(request).await;
    match answer.map_err(|status| explain(address, &status))?.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        _ => Err(format!("{address} does not serve yet")),
    }
}

fn connect(address: &str) -> Result<AdminServiceClient<Channel>, String> {
    // Clusters of thousands of partitions answer with more than tonic's 4 MiB.
    Ok(AdminServiceClient::new(channel(address)?).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

fn channel(address: &str) -> Result<Channel, String> {
    let connector = Connector { connect_timeout: CALL_TIMEOUT, ..Connector::default() };
    let endpoint = connector.endpoint(address).map_err(|error| error.to_string())?;
    Ok(endpoint.timeout(CALL_TIMEOUT).connect_lazy())
}

fn explain(address: &str, status: &tonic::Status) -> String {
    match status.code() {
        tonic::Code::Unavailable => format!("{address} does not answer"),
        tonic::Code::Cancelled | tonic::Code::DeadlineExceeded => format!("{address} does not answer in time"),
        _ => format!("{address}: {}", status.message()),
    }
}

/// What the cluster lacks to be ready, from what one node knows: empty if it is ready.
///
/// Ready means: an active controller, all controllers voting, and every broker registered and unfenced.
pub fn missing(view: &DescribeClusterResponse, brokers: &BTreeSet<u32>, controllers: usize) -> Vec<String> {
    let mut missing = Vec::new();
    if view.active_controller.is_none() {
        missing.push("no controller is active".to_owned());
    }
    let voters = view.controllers.iter().filter(|controller| controller.voter).count();
    if voters < controllers {
        missing.push(format!("{voters} of {controllers} controllers vote"));
    }
    for id in brokers {
        match view.brokers.iter().find(|broker| broker.broker_id == *id) {
            None => missing.push(format!("broker {id} is not registered")),
            Some(broker) if broker.fenced => missing.push(format!("broker {id} is fenced")),
            Some(_) => {}
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{BrokerInfo, ControllerInfo};

    use super::*;

    fn view(fenced: &[bool]) -> DescribeClusterResponse {
        DescribeClusterResponse {
            active_controller: Some(1),
            controllers: vec![ControllerInfo { node_id: 1, voter: true, ..ControllerInfo::default() }],
            brokers: (1..)
                .zip(fenced)
                .map(|(broker_id, fenced)| BrokerInfo { broker_id, fenced: *fenced, ..BrokerInfo::default() })
                .collect(),
            ..DescribeClusterResponse::default()
        }
    }

    #[test]
    fn ready_means_active_voting_registered_and_unfenced() {
        let three = BTreeSet::from([1, 2, 3]);
        assert!(missing(&view(&[false, false, false]), &three, 1).is_empty());
        assert_eq!(missing(&view(&[false, true]), &three, 1), ["broker 2 is fenced", "broker 3 is not registered"]);
        let mut view = view(&[false, false, false]);
        view.active_controller = None;
        assert_eq!(missing(&view, &three, 3), ["no controller is active", "1 of 3 controllers vote"]);
    }
}
