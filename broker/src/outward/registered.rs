//! Who is registered under this broker's id, where the controllers refuse its session.

use super::older::{LONGEST_MS, Next, Older};
use crate::{exit::Fatal, here::context::Context};

/// Why this broker ends, if it does: a process that came after it is registered, or the controllers have long known an
/// earlier start of it alone.
///
/// An answer of a controller that is behind names an older epoch, never a newer one.
pub(super) async fn end_of_stale(context: &Context, older: &mut Older) -> Option<Fatal> {
    let known = match context.nodes.controllers.registration(context.identity.broker_id).await {
        Ok(known) => known?,
        Err(error) => {
            tracing::warn!(%error, "the controllers do not say who is registered under this broker's id");
            return None;
        }
    };
    let (ours, theirs) = (context.identity.broker_epoch().0, known.broker_epoch);
    if theirs > ours {
        return Some(Fatal::Replaced {
            broker_id: context.identity.broker_id.0,
            incarnation: context.identity.incarnation_id.to_string(),
            ours,
            theirs,
            address: known.peer_address,
        });
    }
    if theirs == ours {
        return None;
    }
    match older.heard(context.clock.now(), context.lease.until()) {
        Next::Wait => None,
        Next::Began => {
            tracing::warn!(
                ours,
                theirs,
                ends_after_ms = LONGEST_MS,
                "the controllers know an earlier start of this broker alone: the one that answers is behind, or all were \
                 recovered or restored from older copies. It serves nothing meanwhile, and if this lasts it ends, to be \
                 started again"
            );
            None
        }
        Next::End => Some(Fatal::StartAgain(format!(
            "the controllers know an earlier start of this broker alone, with broker epoch {theirs}, not {ours}: they were \
             recovered, or their data folders were restored from older copies"
        ))),
    }
}
