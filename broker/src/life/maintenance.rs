//! What has to be looked at now and then: free space, producers, old segments, old batches in memory. One task, one tick a second.

use std::{collections::HashMap, sync::Arc, time::Duration};

use holdfast_proto::ids::{Millis, Offset, TimestampMs, TopicId};

use super::{asides::Asides, time_trust::Looks};
use crate::{
    here::{assignment, context::Context},
    partition::{OpenReplica, message::Message},
};

/// The tick. Free space is looked at each time: at full speed the reserve lasts a few seconds.
const TICK: Duration = Duration::from_secs(1);

/// How often idle producers are forgotten while there are too many, ms.
const FORGET_EVERY_MS: u64 = 10_000;

/// Runs until the broker ends.
pub(crate) async fn run(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(TICK.min(Duration::from_millis(context.config.retention_check_interval_ms)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next_retention = context.clock.now();
    let mut next_expiry = context.clock.now();
    let mut next_forgetting = context.clock.now();
    let mut looks = Looks::default();
    let mut asides = Asides::default();
    loop {
        ticks.tick().await;
        let now = context.clock.now();
        let is_trusted = looks.look(&context).await;
        look_at_space(&context).await;
        look_at_producers(&context, now, &mut next_forgetting).await;
        if now >= next_expiry {
            next_expiry = now.plus(context.config.tail_cache_age_ms / 2);
            context.logs.tail.expire(Millis(now.0.saturating_sub(context.config.tail_cache_age_ms)));
        }
        for replica in context.partitions.all().into_iter().filter(|replica| replica.tail.takes_too_much()) {
            let _closed_already = replica.actor().send(Message::Flush).await;
        }
        if now >= next_retention {
            next_retention = now.plus(context.config.retention_check_interval_ms);
            retain(&context, is_trusted).await;
            asides.look(&context, is_trusted).await;
        } else if context.state.is_disk_low() {
            retain(&context, is_trusted).await;
            asides.look_while_low(&context, is_trusted).await;
        }
    }
}

async fn look_at_space(context: &Arc<Context>) {
    let data_dir = Arc::clone(&context.logs.data_dir);
    match tokio::task::spawn_blocking(move || data_dir.space()).await {
        Ok(Ok(space)) => context.state.set_disk_low(space.free < context.config.disk_reserve_bytes),
        Ok(Err(error)) => tracing::warn!(%error, "the free space cannot be read"),
        Err(_) => {}
    }
}

/// Counts the producers that are remembered, of each partition. Of topics that have too many those go that are idle for long.
async fn look_at_producers(context: &Arc<Context>, now: Millis, next_forgetting: &mut Millis) {
    let (replicas, known) = (context.partitions.all(), &context.known_producers);
    let mut by_topic: HashMap<TopicId, usize> = HashMap::new();
    for (topic, count) in replicas.iter().map(|replica| (replica.id.topic_id, replica.view().producers)) {
        if count > 0 {
            *by_topic.entry(topic).or_default() += count;
        }
    }
    if !known.counted(&by_topic, context.config.producers_max as usize) || now < *next_forgetting {
        return;
    }
    *next_forgetting = now.plus(FORGET_EVERY_MS);
    for replica in replicas.into_iter().filter(|replica| known.is_full(replica.id.topic_id)) {
        let _closed_already = replica.actor().send(Message::ExpireProducers).await;
    }
}

/// Moves the log start of partitions that this broker leads; followers follow their leader's. By size alone while the wall
/// clock is not trusted.
async fn retain(context: &Arc<Context>, is_trusted: bool) {
    let image = context.metadata.image();
    let now = context.logs.data_dir.disk().ages().look();
    for replica in context.partitions.all() {
        let Some(topic) = image.topic(replica.id.topic_id) else { continue };
        let Ok(high_watermark) = replica.view().readable else { continue };
        let mut retention = assignment::retention(topic.config());
        retention.ms = retention.ms.filter(|_| is_trusted);
        if let Some(to) = retention_start(&replica, retention, now, high_watermark).await {
            tracing::info!(partition = %replica.id, %to, "old segments go");
            let _closed_already = replica.actor().send(Message::AdvanceStart { to }).await;
        }
    }
}

async fn retention_start(
    replica: &OpenReplica,
    retention: holdfast_log::Retention,
    now: TimestampMs,
    high_watermark: Offset,
) -> Option<Offset> {
    let reader = replica.reader.clone();
    let work = move || reader.retention_start(retention, now, high_watermark);
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
