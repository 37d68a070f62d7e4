//! What becomes of what was found to be wrong with replicas: the broker resigns from each alone, tells the controllers, and
//! copies it again from the leader of then. [`consequence`] says which goes on with what is sound for now.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_metadata::{Image, version::TRUST};
use holdfast_proto::ids::TopicPartition;

use crate::{
    actors::{SessionAddress, SessionEvent},
    exit::Fatal,
    here::context::Context,
    outward,
    partition::{
        OpenReplica,
        consequence::{self, Consequence},
        findings::{Finding, Found, Why},
    },
};

/// Longest pause before a replica that goes on is looked at again, though the metadata did not change.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Replicas that were closed because they cannot be read, all within this time, of which so many, and this part of all that are
/// open here, mean that the disk fails, or the rights to all of it are gone: it does not stop at these, and nothing more is to
/// be trusted to it. Those that go on
/// for want of another do not count: an end would take away what can be read of them, and each start would find the same.
const UNREADABLE_WITHIN: Duration = Duration::from_mins(10);
const UNREADABLE: usize = 3;
const UNREADABLE_PART: usize = 4;

/// How often one replica is opened again at most.
const REOPEN_EVERY: Duration = Duration::from_secs(30);

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>, session: SessionAddress) {
    // Replicas with a finding that go on, and why, as it was said.
    let mut kept = Found::default();
    let mut said: BTreeMap<TopicPartition, Why> = BTreeMap::new();
    let mut unreadable: BTreeMap<TopicPartition, Instant> = BTreeMap::new();
    let mut reopened: BTreeMap<TopicPartition, Instant> = BTreeMap::new();
    let mut index = context.metadata.watch();
    loop {
        index.borrow_and_update();
        let found = if kept.is_empty() {
            context.findings.take().await
        } else {
            tokio::select! {
                found = context.findings.take() => found,
                _newer_or_not = tokio::time::timeout(LOOK_AGAIN, index.changed()) => Found::default(),
            }
        };
        // What was closed since, or begins again, has nothing to do with the finding.
        kept.retain(|partition, finding| {
            let is_open = |replica: OpenReplica| finding.is_about(&replica.reader);
            let goes_on = context.partitions.get(partition).is_some_and(is_open);
            if !goes_on {
                said.remove(&partition);
            }
            goes_on
        });
        let mut all = std::mem::take(&mut kept);
        let known: Vec<TopicPartition> = all.iter().map(|(partition, _)| partition).collect();
        for (partition, finding) in found {
            all.put(partition, finding);
        }
        reopened.retain(|_, at| at.elapsed() < REOPEN_EVERY);
        let judged: Vec<(TopicPartition, Finding, Consequence)> = {
            let (image, own) = (context.metadata.look(), context.identity.broker_id);
            let judge = |(partition, finding)| match consequence::of(&image, own, partition, &finding) {
                Consequence::Reopen
                    if reopened.contains_key(&partition) || is_too_early(&context, &image, partition) =>
                {
                    (partition, finding, Consequence::Stay(Why::Last))
                }
                consequence => (partition, finding, consequence),
            };
            all.into_iter().map(judge).collect()
        };
        for (partition, finding, consequence) in &judged {
            if !known.contains(partition) {
                context.findings.count(finding);
            }
            if !known.contains(partition) && is_new_failure(finding, *consequence) {
                unreadable.insert(*partition, Instant::now());
            }
        }
        unreadable.retain(|_, at| at.elapsed() < UNREADABLE_WITHIN);
        let open = if unreadable.is_empty() { 0 } else { context.partitions.all().len() };
        if disk_fails(unreadable.len(), open) {
            let why = format!(
                "{} of {open} replicas cannot be read: replace the disk, or give the files the owner and the mode of this process",
                unreadable.len()
            );
            return context.state.fail(Fatal::StorageFailed(why));
        }
        for (partition, finding, consequence) in judged {
            if let Consequence::Stay(why) = consequence {
                if said.insert(partition, why) != Some(why) {
                    tell_stays(partition, &finding, why);
                }
                kept.put(partition, finding);
                continue;
            }
            said.remove(&partition);
            if consequence == Consequence::Reopen {
                reopened.insert(partition, Instant::now());
                tracing::error!(
                    %partition,
                    detail = finding.detail,
                    "a log takes nothing any more, and nobody else is there: it is opened again"
                );
                if session.tell(SessionEvent::Reopen(partition, finding)).await.is_none() {
                    return;
                }
                continue;
            }
            tell_closed(&context, partition, &finding);
            if session.tell(SessionEvent::Distrust(partition, finding)).await.is_none() {
                return;
            }
        }
        context.findings.keep(said.clone());
        let leaving = said.iter().filter(|(_, why)| **why == Why::HandsOver).map(|(partition, _)| *partition);
        outward::ask_for_leaders(&context, leaving).await;
    }
}

/// True if a log that is led here is not opened again yet: that takes another start of the broker.
fn is_too_early(context: &Context, image: &Image, partition: TopicPartition) -> bool {
    let leads = image.partition(partition).is_some_and(|state| state.leader == Some(context.identity.broker_id));
    leads && context.clock.now() < context.may_end_at
}

/// True if the disk failed to read one more replica, which another takes over.
fn is_new_failure(finding: &Finding, consequence: Consequence) -> bool {
    finding.is_unreadable && consequence == Consequence::Close
}

/// True if so many replicas cannot be read, of those that are open and those that were, that it is the disk.
const fn disk_fails(unreadable: usize, open: usize) -> bool {
    unreadable >= UNREADABLE && unreadable * UNREADABLE_PART >= open
}

fn tell_closed(context: &Context, partition: TopicPartition, finding: &Finding) {
    let Finding { reason, detail, .. } = finding;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_replicas_that_cannot_be_read_are_the_disk_and_a_few_are_not() {
        assert!(!disk_fails(1, 1) && !disk_fails(2, 2), "replicas");
        assert!(disk_fails(3, 3) && disk_fails(3, 12) && !disk_fails(3, 13));
        assert!(!disk_fails(24, 100) && disk_fails(25, 100));
    }
}
