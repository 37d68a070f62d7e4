//! Who is registered under this broker's id, where the controllers refuse its session.

use crate::{exit::Fatal, here::context::Context};

/// Who is registered under this broker's id.
pub(super) enum Registered {
    /// A process that came after this one.
    Later(Fatal),
    /// An earlier start of this broker.
    Earlier,
    /// This one, or nobody says.
    Unknown,
}

/// Whether a process registered under this id after this one.
///
/// An answer of a controller that is behind names an older epoch, never a newer one.
pub(super) async fn registered_by(context: &Context) -> Registered {
    let known = match context.nodes.controllers.registration(context.identity.broker_id).await {
        Ok(Some(known)) => known,
        Ok(None) => return Registered::Unknown,
        Err(error) => {
            tracing::warn!(%error, "the controllers do not say who is registered under this broker's id");
            return Registered::Unknown;
        }
    };
    let ours = context.identity.broker_epoch();
    if known.broker_epoch < ours.0 {
        return Registered::Earlier;
    }
    if known.broker_epoch == ours.0 {
        return Registered::Unknown;
    }
    Registered::Later(Fatal::Replaced {
        broker_id: context.identity.broker_id.0,
        incarnation: context.identity.incarnation_id.to_string(),
        ours: ours.0,
        theirs: known.broker_epoch,
        address: known.peer_address,
    })
}
