//! Sends a write on to the active controller, once: a forwarded call is never forwarded again, so no loop can be.

use std::{future::Future, time::Duration};

use tonic::{
    Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};

use holdfast_proto::{
    detail::ErrorDetail,
    error::{ErrorCode, Outcome},
    forward::FORWARDED,
    limits::MAX_MESSAGE_BYTES,
    status::{Origin, classify},
    v1::admin_service_client::AdminServiceClient,
};

use crate::{
    channels::{Channels, Purpose},
    node::Node,
};

/// How long a write waits for somebody to become active.
const WAIT_FOR_LEADER: Duration = Duration::from_secs(3);
/// Deadline of a forwarded call beyond the proposal's own.
const HOP: Duration = Duration::from_millis(500);

/// Decides where a write is carried out.
#[derive(Clone)]
pub(super) struct Forwarder {
    pub(super) node: Node,
    pub(super) channels: Channels,
}

impl Forwarder {
    /// The client of the active controller, or `None` if this one is active. A call that was sent on already is
    /// refused unless this one is.
    pub(super) async fn target(
        &self,
        metadata: &MetadataMap,
    ) -> Result<Option<AdminServiceClient<Channel>>, ErrorDetail> {
        if metadata.contains_key(FORWARDED) {
            return self.node.check_active().map(|()| None);
        }
        let own = self.node.id();
        let mut role = self.node.role();
        // A leader that is not active yet is about to be: it waits for its first entry. Without a leader one is being
        // elected.
        let known = role.wait_for(|role| role.active || role.leader.as_ref().is_some_and(|leader| leader.id.0 != own));
        if tokio::time::timeout(WAIT_FOR_LEADER, known).await.is_err() {
            return Err(ErrorDetail::new(ErrorCode::NotController, "no active controller is known; retry"));
        }
        match self.node.leader() {
            Some(leader) if leader.id.0 != own => {
                let channel = self.channels.get(&leader.address, Purpose::Calls).map_err(|error| {
                    ErrorDetail::new(ErrorCode::NotController, format!("{}: {error}", leader.address))
                })?;
                let client = AdminServiceClient::new(channel)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES);
                Ok(Some(client))
            }
            _ => self.node.check_active().map(|()| None),
        }
    }

    /// Makes the forwarded call with its marker and a deadline.
    pub(super) async fn send<Q, A, F>(
        &self,
        message: Q,
        call: impl FnOnce(Request<Q>) -> F,
    ) -> Result<Response<A>, ErrorDetail>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(message);
        request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("1"));
        let deadline = Duration::from_millis(self.node.config().proposal_timeout_ms) + HOP;
        request.set_timeout(deadline);
        let status = match tokio::time::timeout(deadline, call(request)).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(status)) => status,
            Err(_) => return Err(unanswered("no answer in time")),
        };
        match classify(&status) {
            (Origin::Node, detail) => Err(detail),
            (Origin::NotConnected, detail) => Err(ErrorDetail::new(
                ErrorCode::NotController,
                format!("the active controller is not reached: {}; retry", detail.message),
            )),
            (Origin::Transport, detail) => Err(unanswered(&detail.message)),
        }
    }
}

/// The call went out and no answer came back.
fn unanswered(why: &str) -> ErrorDetail {
    let message = format!("the active controller did not answer ({why}); the change may have happened");
    ErrorDetail::new(ErrorCode::RequestTimedOut, message).with_outcome(Outcome::Unknown)
}
