//! Who calls, in every call to a controller.

use holdfast_proto::{convert::peer_header, detail::ErrorDetail, error::ErrorCode, v1};

use crate::here::identity::Identity;

/// The header of a call to any controller; an error while the cluster is not known.
pub(super) fn header(identity: &Identity) -> Result<v1::PeerHeader, ErrorDetail> {
    let cluster_id = identity.cluster_id().ok_or(ErrorCode::BrokerNotAvailable)?;
    Ok(peer_header(cluster_id, 0, identity.broker_id.0.into()))
}
