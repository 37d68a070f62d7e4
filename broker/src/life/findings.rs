//! What becomes of what was found to be wrong with replicas: the broker resigns from each alone, tells the controllers, and
//! copies it again from the leader of then. [`consequence`] says which goes on with what is sound for now.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use holdfast_metadata::version::TRUST;
use holdfast_proto::ids::TopicPartition;

use crate::{
    actors::{SessionAddress, SessionEvent},
    here::context::Context,
    outward,
    partition::{
        consequence::{self, Consequence, Why},
        findings::Finding,
    },
};

/// Longest pause before a replica that goes on is looked at again, though the metadata did not change.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A replica with a finding that goes on.
struct Kept {
    finding: Finding,
    /// Why it goes on, as it was said.
    why: Why,
}

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>, session: SessionAddress) {
    let mut kept: BTreeMap<TopicPartition, Kept> = BTreeMap::new();
    let mut index = context.metadata.watch();
    loop {
        index.borrow_and_update();
        let found = if kept.is_empty() {
            context.findings.take().await
        } else {
            tokio::select! {
                found = context.findings.take() => found,
                _newer_or_not = tokio::time::timeout(LOOK_AGAIN, index.changed()) => BTreeMap::new(),
            }
        };
        let mut all: BTreeMap<TopicPartition, (Finding, Option<Kept>)> = BTreeMap::new();
        for (partition, one) in std::mem::take(&mut kept) {
            all.insert(partition, (one.finding.clone(), Some(one)));
        }
        // What was closed since, or begins again, has nothing to do with the finding.
        all.retain(|partition, (finding, _)| {
            context.partitions.get(*partition).is_some_and(|replica| finding.is_about(&replica.reader))
        });
        for (partition, finding) in found {
            all.entry(partition).or_insert((finding, None));
        }
        for (partition, (finding, before)) in all {
            let consequence = {
                let image = context.metadata.look();
                consequence::of(&image, context.identity.broker_id, partition, finding.reason)
            };
            if let Consequence::Stay(why) = consequence {
                if before.is_none_or(|before| before.why != why) {
                    tell_stays(partition, &finding, why);
                }
                kept.insert(partition, Kept { finding, why });
                continue;
            }
            tell_closed(&context, partition, &finding);
            if session.tell(SessionEvent::Distrust(partition, finding)).await.is_none() {
                return;
            }
        }
        let leaving = kept.iter().filter(|(_, one)| one.why == Why::HandsOver).map(|(partition, _)| *partition);
        outward::ask_for_leaders(&context, leaving).await;
    }
}

fn tell_closed(context: &Context, partition: TopicPartition, finding: &Finding) {
    let Finding { reason, detail, log: _ } = finding;
    if context.metadata.look().version() >= TRUST {
        tracing::error!(
            %partition,
            ?reason,
            detail,
            "this broker does not vouch for its replica any more: it is closed, and copied again once another leads"
        );
    } else {
        tracing::error!(
            %partition,
            ?reason,
            detail,
            "this broker does not vouch for its replica any more: it is closed. It is copied again only once metadata \
             version {TRUST} is finalised: upgrade every node, then `holdfast cluster finalize-version {TRUST}`"
        );
    }
}

fn tell_stays(partition: TopicPartition, finding: &Finding, why: Why) {
    let detail = &finding.detail;
    match why {
        Why::Last => tracing::error!(
            %partition,
            detail,
            "this replica is damaged, and no other holds what was acknowledged: it goes on with the rest. Start the other \
             replicas, or produce again what is lost"
        ),
        Why::HandsOver => tracing::error!(
            %partition,
            detail,
            "this replica is damaged: it goes on with the rest until another leads. It is copied again only once metadata \
             version {TRUST} is finalised: upgrade every node, then `holdfast cluster finalize-version {TRUST}`"
        ),
        Why::NotFinalised => tracing::error!(
            %partition,
            detail,
            "this replica is damaged, and no other is in sync: it goes on with the rest. Others can lead only once metadata \
             version {TRUST} is finalised: upgrade every node, then `holdfast cluster finalize-version {TRUST}`"
        ),
    }
}
