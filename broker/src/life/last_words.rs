//! Tells the controllers how far was acknowledged of what this broker led to its end: see [`LastWord`].
//!
//! Place: the last phase of `Broker::stop`, once the logs are closed and before the controllers are told of the stop. Each
//! proposal is made from the metadata as it is applied; a refusal says that this has changed, and what follows is due then.
//! Nothing is lost without it: elections wait for more replicas then.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use holdfast_proto::ids::TopicPartition;

use crate::{
    here::context::Context,
    outward::{MAX_CHANGES, propose},
    partition::{OpenReplica, last_word::LastWord},
};

/// Returns once the controllers know it of all of these, which are closed, as far as it is of use; or at `until`.
pub(crate) async fn tell(context: &Arc<Context>, closed: &[OpenReplica], until: Instant) {
    let words: Vec<(TopicPartition, LastWord)> =
        closed.iter().filter_map(|replica| Some((replica.id, replica.last_word()?))).collect();
    let mut indexes = context.metadata.watch();
    let mut told = 0;
    loop {
        indexes.borrow_and_update();
        let due: Vec<_> = {
            let (image, own) = (context.metadata.look(), context.identity.broker_id);
            let due = words.iter().filter_map(|(id, word)| Some((*id, word.proposal(&image, *id, own)?)));
            due.take(MAX_CHANGES).collect()
        };
        if due.is_empty() {
            if told > 0 {
                tracing::info!(
                    proposals = told,
                    "the controllers know how far was acknowledged of what nobody takes over"
                );
            }
            return;
        }
        let answered = timeout_at(until, propose(context, &due)).await;
        told += due.len();
        let newer = match answered {
            Ok(Ok(_)) => timeout_at(until, indexes.changed()).await.is_ok_and(|changed| changed.is_ok()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the last words were not decided");
                false
            }
            Err(_late) => false,
        };
        if !newer {
            return tracing::warn!(
                partitions = due.len(),
                "leaving before the controllers know how far was acknowledged there: who comes back waits for more replicas"
            );
        }
    }
}
