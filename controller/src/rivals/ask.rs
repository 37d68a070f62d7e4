//! What controllers say of the cluster, asked by their addresses. It tells nothing of who asks, and changes nothing.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;

use holdfast_proto::{
    limits::MAX_MESSAGE_BYTES,
    v1::{DescribeClusterRequest, admin_service_client::AdminServiceClient},
};

use super::judge::Answered;
use crate::channels::{Channels, Purpose};

/// Deadline of each answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks all of these addresses at once. Who does not answer in two seconds is left out.
pub(crate) async fn describe(channels: &Channels, addresses: BTreeSet<String>) -> Vec<Answered> {
    let questions = addresses.into_iter().map(|address| async move {
        let channel = channels.get(&address, Purpose::Calls).ok()?;
        let mut client = AdminServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let answer = tokio::time::timeout(ASK_TIMEOUT, client.describe_cluster(DescribeClusterRequest {})).await;
        let view = answer.ok()?.ok()?.into_inner();
        Some(Answered { address, view })
    });
    join_all(questions).await.into_iter().flatten().collect()
}
