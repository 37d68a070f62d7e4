//! What becomes of what was found to be wrong with replicas: the broker resigns from each alone, tells the controllers, and
//! copies it again from the leader of then.
//!
//! One that is the last of its partition to hold what was acknowledged stays, if it can still serve: the rest of it can be
//! read, and nobody could take its place. What is damaged is refused to its readers all the same.

use std::{collections::BTreeMap, sync::Arc};

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::TopicPartition;

use crate::{
    actors::{SessionAddress, SessionEvent},
    here::context::Context,
    partition::findings::Finding,
};

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>, session: SessionAddress) {
    let mut kept: BTreeMap<TopicPartition, String> = BTreeMap::new();
    loop {
        for (partition, finding) in context.findings.take().await {
            if finding.reason == DistrustReason::Damaged && is_last(&context, partition) {
                if kept.get(&partition) != Some(&finding.detail) {
                    tracing::error!(
                        %partition,
                        detail = finding.detail,
                        "this replica is damaged, and no other holds what was acknowledged: it goes on with the rest. Start \
                         the other replicas, or produce again what is lost"
                    );
                    kept.insert(partition, finding.detail);
                }
                continue;
            }
            kept.remove(&partition);
            tell(partition, &finding);
            if session.tell(SessionEvent::Distrust(partition, finding)).await.is_none() {
                return;
            }
        }
    }
}

fn tell(partition: TopicPartition, finding: &Finding) {
    tracing::error!(
        %partition,
        reason = ?finding.reason,
        detail = finding.detail,
        "this broker does not vouch for its replica any more: it is closed, and copied again once another leads"
    );
}

/// True if no other replica is in sync or eligible.
fn is_last(context: &Context, partition: TopicPartition) -> bool {
    let image = context.metadata.look();
    let own = context.identity.broker_id;
    image.partition(partition).is_some_and(|state| !state.isr.iter().chain(&state.elr).any(|member| *member != own))
}
