//! Which nodes answer, asked of themselves: the controllers count a broker as alive until its session is over.

use std::time::Duration;

use futures::future::join_all;

use holdfast_proto::v1;

use super::Admin;
use crate::{connection::call, error::Error};

impl Admin {
    /// For each of these brokers and controllers, `host:port`, whether it answers within `limit`. All are asked at once;
    /// an answer that refuses is an answer.
    ///
    /// Empty with `one_address`: there every address leads to the same broker, which tells nothing of the others.
    pub async fn answering(&self, addresses: &[String], limit: Duration) -> Vec<bool> {
        if self.client.config().one_address {
            return Vec::new();
        }
        let asked = addresses.iter().map(|address| async move {
            let mut client = self.client.connections().admin(address)?;
            let rpc = |request| async move { client.get_metadata(request).await };
            call(address, "GetMetadata", limit, v1::GetMetadataRequest::default(), rpc).await.map(|_| ())
        });
        join_all(asked).await.iter().map(|answer| matches!(answer, Ok(()) | Err(Error::Rejected(_)))).collect()
    }
}
