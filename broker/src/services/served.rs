//! Whether the partitions of a topic are served: a topic that was just created, or given partitions, exists before its
//! leaders have heard of it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use holdfast_metadata::Image;
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::ids::{MetadataIndex, PartitionIndex};

use super::{
    caller::Caller,
    found_offsets::{Lookup, Position},
    hop::Hop,
    offsets::OffsetService,
};
use crate::here::context::Context;

/// How long the answer to a change waits for it to be in effect, from the change on.
const LONGEST: Duration = Duration::from_secs(5);

/// First pause between two looks; doubles up to the other.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Waits until changes are in effect, for a bounded time.
#[derive(Clone)]
pub(super) struct Served {
    context: Arc<Context>,
    offsets: OffsetService,
}

impl Served {
    pub(super) fn new(context: Arc<Context>, offsets: OffsetService) -> Self {
        Self { context, offsets }
    }

    /// Until when a call that began at `start` waits, its change made now: a tenth of the caller's time is left to answer
    /// in.
    pub(super) fn end(start: Instant, hop: Hop) -> Instant {
        let longest = Instant::now() + LONGEST;
        let left = |deadline: Instant| start + deadline.saturating_duration_since(start) / 10 * 9;
        hop.deadline.map(left).map_or(longest, |end| end.min(longest))
    }

    /// Waits until this broker's metadata holds the change; the image then, or `None` if the time was up before.
    pub(super) async fn applied(&self, index: MetadataIndex, end: Instant) -> Option<Arc<Image>> {
        let mut indexes = self.context.metadata.watch();
        let reached = timeout_at(end, indexes.wait_for(|known| *known >= index)).await;
        reached.is_ok_and(|known| known.is_ok()).then(|| self.context.metadata.image())
    }

    /// Waits until the leaders serve all partitions of the topic. What is wrong when the time is up, as a sentence.
    pub(super) async fn all(&self, caller: &Caller, topic: &str, index: MetadataIndex, end: Instant) -> Option<String> {
        let Some(image) = self.applied(index, end).await else {
            return Some(format!(
                "the change is made, but this broker has not heard of it yet: retry what says that '{topic}' is unknown"
            ));
        };
        // Deleted meanwhile: nothing to wait for.
        let topic = image.topic_by_name(topic)?;
        let lookup = |partition: PartitionIndex| Lookup {
            topic: topic.name().to_owned(),
            topic_id: Some(topic.topic_id()),
            partition,
            position: Position::Earliest,
        };
        let mut waiting: Vec<Lookup> = topic.partitions().map(|(partition, _)| lookup(partition)).collect();
        let count = waiting.len();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let hop = Hop { forwarded: false, deadline: Some(end) };
            let found = self.offsets.find_all(caller, &waiting, hop).await;
            waiting = waiting.into_iter().zip(&found).filter(|(_, found)| found.is_err()).map(|(one, _)| one).collect();
            if waiting.is_empty() {
                return None;
            }
            let next = Instant::now() + jittered(backoff.next_pause());
            if next >= end {
                let name = topic.name();
                return Some(format!(
                    "the change is made, but {} of {count} partitions of '{name}' are not served by their leaders yet: \
                     retry what they refuse",
                    waiting.len(),
                ));
            }
            sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_callers_time_is_left_to_answer_in() {
        let start = Instant::now();
        assert!(Served::end(start, Hop::default()) >= start + LONGEST);
        let within = |seconds| Hop { forwarded: false, deadline: Some(start + Duration::from_secs(seconds)) };
        assert_eq!(Served::end(start, within(2)), start + Duration::from_millis(1_800));
        assert!(Served::end(start, within(3_600)) < start + Duration::from_mins(1), "the wait is bounded without it");
    }
}
