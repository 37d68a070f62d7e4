//! The envelope around openraft's messages: who speaks to whom, in which format.

use std::io;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use holdfast_proto::{
    convert::{check_peer, peer_header, required},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::ClusterId,
    v1::RaftEnvelope,
};

use super::codec::Unknown;
use crate::{clocks::Clocks, lineage::Said};

/// JSON of openraft 0.10's types.
const FORMAT_JSON: u32 = 1;

/// Largest message between controllers, in bytes. Bounds what a stranger can make this node hold.
pub const MAX_MESSAGE_BYTES: usize = holdfast_proto::limits::MAX_MESSAGE_BYTES;

/// Puts a message of openraft's into an envelope from the node `source` to the node `target`, with what it shows of its
/// history.
pub(super) fn wrap<T: Serialize>(
    cluster_id: ClusterId,
    target: u64,
    source: u64,
    said: Said,
    body: &T,
) -> io::Result<RaftEnvelope> {
    Ok(RaftEnvelope {
        header: Some(peer_header(cluster_id, target, source)),
        format: FORMAT_JSON,
        body: Bytes::from(serde_json::to_vec(body)?),
        boots: said.boots,
        wall_ms: Clocks::wall_ms(),
        recovered: said.recovered,
    })
}

/// What a message says of its sender; taken out of it.
pub(super) fn said(envelope: &mut RaftEnvelope) -> Said {
    Said { boots: std::mem::take(&mut envelope.boots), recovered: envelope.recovered }
}

/// Checks whom a message is for. Returns it with the sender's node id.
pub(super) fn accept(
    envelope: Option<RaftEnvelope>,
    cluster_id: Option<ClusterId>,
    node_id: u64,
) -> Result<(u64, RaftEnvelope), ErrorDetail> {
    let mut envelope = required(envelope, "envelope")?;
    let cluster_id = cluster_id.ok_or_else(|| {
        ErrorDetail::new(ErrorCode::InconsistentClusterId, "this controller does not belong to a cluster yet")
    })?;
    let peer = check_peer(envelope.header.take(), cluster_id, node_id, false)?;
    Ok((peer.node_id, envelope))
}

/// Reads a message that is for this controller, or the answer to one of its own. One that is whole and holds what this
/// build does not know is refused with UNSUPPORTED_VERSION.
pub(super) fn read<T: DeserializeOwned>(envelope: &RaftEnvelope) -> Result<T, ErrorDetail> {
    let RaftEnvelope { format, body, .. } = envelope;
    let invalid = |message: String| ErrorDetail::new(ErrorCode::InvalidRequest, message);
    if *format != FORMAT_JSON {
        return Err(invalid(format!("envelope format {format}; this version reads {FORMAT_JSON}")));
    }
    serde_json::from_slice(body).map_err(|error| match Unknown::of("a message of another controller", &error) {
        Some(unknown) => ErrorDetail::new(ErrorCode::UnsupportedVersion, unknown.to_string()),
        None => invalid(format!("envelope body: {error}")),
    })
}
