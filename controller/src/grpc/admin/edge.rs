//! What all of administration stands on: the node, the way to the active one, and how a command is carried out.

use holdfast_metadata::{Command, Image, Response, Topic};
use holdfast_proto::{convert::check_topic_name, detail::ErrorDetail, error::ErrorCode, ids::MetadataIndex};

use super::{forward::Forwarder, reads::Reads};
use crate::{
    actors::SessionsHandle, admission::Proposer, agreement::Agreement, channels::Channels, node::Node,
    quorum::operator::Operator,
};

/// Serves operators and clients.
pub(in crate::grpc) struct AdminEdge {
    pub(super) node: Node,
    pub(super) forwarder: Forwarder,
    pub(super) agreement: Agreement,
    pub(super) operator: Operator,
    pub(super) reads: Reads,
    pub(super) sessions: SessionsHandle,
}

impl AdminEdge {
    /// Over these connections to the other controllers.
    pub(in crate::grpc) fn new(
        node: Node,
        channels: Channels,
        agreement: Agreement,
        operator: Operator,
        sessions: SessionsHandle,
    ) -> Self {
        let forwarder = Forwarder { node: node.clone(), channels };
        Self { forwarder, node, agreement, operator, reads: Reads::default(), sessions }
    }

    /// Proposes the command, or only says what it would come to (then at index 0).
    pub(super) async fn carry_out(
        &self,
        command: Command,
        validate_only: bool,
    ) -> Result<(MetadataIndex, Response), ErrorDetail> {
        if !validate_only {
            tracing::info!(%command, "administration");
            return self.node.propose(Proposer::Operator, command).await;
        }
        let node = self.node.clone();
        Ok((MetadataIndex(0), self.reads.answers.run(move || node.validate(&command)).await??))
    }
}

/// The topic of this name.
pub(super) fn find<'a>(image: &'a Image, name: &str) -> Result<&'a Topic, ErrorDetail> {
    check_topic_name(name)?;
    image
        .topic_by_name(name)
        .ok_or_else(|| ErrorDetail::new(ErrorCode::UnknownTopicOrPartition, format!("unknown topic '{name}'")))
}
