//! Reading all replicas again at a bounded rate, one after the other: finds damage before a reader, or a failure of another
//! replica, meets it. Segments whose digests are lost get new ones. What it leads is then compared with its followers
//! (`compare`). What becomes of it is as for damage that a read finds (`findings`).
//!
//! A pass goes through all replicas in a circle and begins where the last one stood, over restarts too: a broker that is
//! started again more often than a pass takes would else never read the last of them. The place is kept in the data folder
//! now and then; by chance alone the longest gap of a replica would be known to nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_log::{Error, ScrubPosition};
use holdfast_proto::ids::{Offset, TopicPartition};

use super::{
    compare::{Counts, compare},
    told::Told,
};
use crate::{
    here::context::Context,
    partition::{
        OpenReplica,
        failing::FAILURES,
        findings::{Finding, fails},
        message::Message,
    },
};

/// Bytes that one step reads at most, unless a piece is larger.
const MAX_STEP_BYTES: u64 = 4 << 20;
/// Steps in a second, if they are not bounded by their size: short ones, for reads of others wait behind them at the disk.
const STEPS_PER_SECOND: u64 = 8;
/// How often the place of a pass is kept.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// How long a range that the disk did not read rests before it is read again: [`FAILURES`] of them make a finding.
const READ_AGAIN: Duration = Duration::from_secs(2);
/// How long the first pass waits after the start, at most.
const FIRST_AFTER: Duration = Duration::from_secs(10);

/// Runs until the broker ends; ends at once if scrubs are switched off.
pub(crate) async fn run(context: Arc<Context>) {
    let bytes_per_second = context.config.scrub_bytes_per_second;
    if bytes_per_second == 0 {
        return;
    }
    let interval = Duration::from_millis(context.config.scrub_interval_ms);
    let mut told = Told::default();
    let mut place = Place::load(&context).await;
    let mut next = tokio::time::Instant::now() + FIRST_AFTER.min(interval);
    loop {
        tokio::time::sleep_until(next).await;
        next = tokio::time::Instant::now() + interval;
        let started = tokio::time::Instant::now();
        let (mut bytes, mut damaged, mut counts) = (0, 0, Counts::default());
        // By their names: what is closed meanwhile must not be held for the length of a pass.
        let replicas = in_turn(context.partitions.all().iter().map(|replica| replica.id), place.at);
        for replica in &replicas {
            let Some(replica) = context.partitions.get(*replica) else { continue };
            let done = scrub(&context, &replica, bytes_per_second, &mut place).await;
            bytes += done.bytes;
            damaged += u64::from(done.is_damaged);
            if !done.is_damaged {
                bind(&context, &replica, bytes_per_second).await;
                let before = counts;
                compare(&context, &replica, &mut told, &mut counts).await;
                let (ranges, differences) = (counts.ranges - before.ranges, counts.differences - before.differences);
                context.scrubbed.compared(ranges, differences);
            }
        }
        told.retain(|partition| context.partitions.get(partition).is_some());
        // The next one begins where this one did, and with the whole of that replica.
        place.go_on(&context, replicas.first().map(|first| ScrubPosition { partition: *first, next: Offset(0) })).await;
        context.scrubbed.round_ended();
        let Counts { ranges, differences } = counts;
        let elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::info!(
            replicas = replicas.len(),
            bytes,
            damaged,
            ranges,
            differences,
            elapsed_ms,
            "all replicas were read again, and those that lead compared"
        );
    }
}

/// What was found of one replica.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Bytes that are right.
    bytes: u64,
    is_damaged: bool,
}

/// Reads one replica from its start to where it ends now, if it is open so long: one that is written all the time, and as
/// fast as it is read, must not keep a pass from the others.
async fn scrub(context: &Arc<Context>, replica: &OpenReplica, bytes_per_second: u64, place: &mut Place) -> Done {
    let step_bytes = step_bytes(bytes_per_second);
    let start = place.at.filter(|at| at.partition == replica.id).map_or(Offset(0), |at| at.next);
    let (mut from, mut all, mut failures) = (Some(start), Done::default(), 0);
    let end = replica.view().log_end;
    while let Some(at) = from.filter(|at| *at < end) {
        place.go_on(context, Some(ScrubPosition { partition: replica.id, next: at })).await;
        let reader = replica.reader.clone();
        let Ok(step) = tokio::task::spawn_blocking(move || reader.scrub(at, step_bytes)).await else { break };
        match step {
            Ok(step) => {
                replica.read_succeeded(at, step.next.unwrap_or(end));
                (from, failures) = (step.next, 0);
                all.bytes += step.bytes;
                context.scrubbed.read(step.bytes);
                tokio::time::sleep(context.scrub_budget.spend(step.bytes)).await;
            }
            Err(Error::Closed) => break,
            Err(error) if error.is_damage() => {
                all.is_damaged = true;
                replica.read_failed(&error);
                break;
            }
            Err(error) if fails(&error) && failures < FAILURES => {
                replica.read_failed_at(at, &error);
                failures += 1;
                tokio::time::sleep(READ_AGAIN).await;
            }
            // The counts of others' reads may have taken the place of this one: it says so itself.
            Err(error) if fails(&error) => {
                all.is_damaged = true;
                let detail = format!("{error}; {FAILURES} reads or more failed at offset {at}");
                replica.found(Finding::unreadable(&replica.reader, detail).up_to(Some(at)));
                break;
            }
            Err(error) => {
                tracing::warn!(partition = %replica.id, %error, "a replica cannot be read again; the next pass tries it");
                break;
            }
        }
    }
    all
}

/// Reads closed segments through again whose digests are lost, so that something binds their batches.
async fn bind(context: &Context, replica: &OpenReplica, bytes_per_second: u64) {
    let mut from = Some(Offset(0));
    while let Some(at) = from {
        match bind_next(context, replica, at, step_bytes(bytes_per_second)).await {
            Ok(next) => from = next,
            Err(Error::Closed) => return,
            Err(error) => {
                let partition = replica.id;
                tracing::warn!(%partition, %error, "a segment has no digests, and cannot be read; the next pass tries it");
                replica.read_failed(&error);
                return;
            }
        }
    }
}

/// Binds the next segment from this offset on, and gives the offset after it; `None` if there is none.
async fn bind_next(
    context: &Context,
    replica: &OpenReplica,
    from: Offset,
    step_bytes: u64,
) -> Result<Option<Offset>, Error> {
    let reader = replica.reader.clone();
    let Some(mut binding) = blocking(move || reader.unbound(from)).await? else { return Ok(None) };
    while !binding.is_whole() {
        let (reader, before) = (replica.reader.clone(), binding.bytes());
        binding = blocking(move || reader.go_on_binding(&binding, step_bytes)).await?;
        tokio::time::sleep(context.scrub_budget.spend(binding.bytes() - before)).await;
    }
    let next = binding.next();
    let _closed_already = replica.actor().send(Message::Bind(Box::new(binding))).await;
    Ok(Some(next))
}

/// Runs a read on a thread that may block.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    // An error says that the runtime ends.
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Error::Closed))
}

/// Where the scrub stands, and when that was kept.
struct Place {
    at: Option<ScrubPosition>,
    kept: Instant,
}

impl Place {
    async fn load(context: &Arc<Context>) -> Self {
        let data_dir = Arc::clone(&context.logs.data_dir);
        let at = tokio::task::spawn_blocking(move || data_dir.scrub_position()).await.ok().flatten();
        Self { at, kept: Instant::now() }
    }

    /// Goes on to this place, and keeps it if it is time. One that cannot be kept is worth no more than a warning: the next
    /// start reads some again.
    async fn go_on(&mut self, context: &Arc<Context>, at: Option<ScrubPosition>) {
        let is_due = self.kept.elapsed() >= KEEP_EVERY.min(Duration::from_millis(context.config.scrub_interval_ms));
        self.at = at;
        let Some(at) = at.filter(|_| is_due) else { return };
        self.kept = Instant::now();
        let data_dir = Arc::clone(&context.logs.data_dir);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || data_dir.keep_scrub_position(at)).await {
            tracing::warn!(%error, "the place of the scrub is not kept");
        }
    }
}

/// All replicas in order, from the place on and round to it.
fn in_turn(replicas: impl Iterator<Item = TopicPartition>, place: Option<ScrubPosition>) -> Vec<TopicPartition> {
    let mut replicas: Vec<_> = replicas.collect();
    replicas.sort_unstable();
    if let Some(place) = place {
        let before = replicas.partition_point(|replica| *replica < place.partition);
        replicas.rotate_left(before);
    }
    replicas
}

fn step_bytes(bytes_per_second: u64) -> u64 {
    (bytes_per_second / STEPS_PER_SECOND).clamp(1, MAX_STEP_BYTES)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn a_pass_goes_round_from_its_place() {
        let tp = |n| TopicPartition { topic_id: TopicId(uuid::Uuid::from_u128(1)), partition: PartitionIndex(n) };
        let from = |place: Option<u32>| {
            let place = place.map(|n| ScrubPosition { partition: tp(n), next: Offset(9) });
            let order = in_turn([4, 1, 6].map(tp).into_iter(), place);
            order.iter().map(|replica| replica.partition.0).collect::<Vec<_>>()
        };
        assert_eq!(from(None), [1, 4, 6]);
        assert_eq!(from(Some(4)), [4, 6, 1]);
        assert_eq!(from(Some(5)), [6, 1, 4], "the one where it stood is gone");
        assert_eq!(from(Some(7)), [1, 4, 6]);
    }

    #[test]
    fn steps_are_short_whatever_the_rate() {
        assert_eq!(step_bytes(16 << 20), 2 << 20);
        assert_eq!(step_bytes(1 << 40), MAX_STEP_BYTES);
        assert_eq!(step_bytes(3), 1);
    }
}
