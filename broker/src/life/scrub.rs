//! Reading all replicas again at a bounded rate, one after the other: finds damage before a reader, or a failure of another
//! replica, meets it. What it leads is then compared with its followers (`compare`). What becomes of it is as for damage
//! that a read finds (`findings`).

use std::{sync::Arc, time::Duration};

use holdfast_log::Error;
use holdfast_proto::ids::Offset;

use super::compare::{Counts, Told, compare};
use crate::{here::context::Context, partition::OpenReplica};

/// Bytes that one step reads at most, unless a piece is larger.
const MAX_STEP_BYTES: u64 = 4 << 20;
/// Steps in a second, if they are not bounded by their size: short ones, for reads of others wait behind them at the disk.
const STEPS_PER_SECOND: u64 = 8;
/// How long the first pass waits after the start, at most.
const FIRST_AFTER: Duration = Duration::from_secs(10);

/// Runs until the broker ends; ends at once if scrubs are switched off.
pub(crate) async fn run(context: Arc<Context>) {
    let bytes_per_second = context.config.scrub_bytes_per_second;
    if bytes_per_second == 0 {
        return;
    }
    let interval = Duration::from_millis(context.config.scrub_interval_ms);
    let mut told = Told::new();
    let mut next = tokio::time::Instant::now() + FIRST_AFTER.min(interval);
    loop {
        tokio::time::sleep_until(next).await;
        next = tokio::time::Instant::now() + interval;
        let started = tokio::time::Instant::now();
        let (mut bytes, mut damaged, mut counts) = (0, 0, Counts::default());
        // By their names: what is closed meanwhile must not be held for the length of a pass.
        let replicas: Vec<_> = context.partitions.all().iter().map(|replica| replica.id).collect();
        for replica in &replicas {
            let Some(replica) = context.partitions.get(*replica) else { continue };
            let done = scrub(&replica, bytes_per_second).await;
            bytes += done.bytes;
            damaged += u64::from(done.is_damaged);
            if !done.is_damaged {
                compare(&context, &replica, bytes_per_second, &mut told, &mut counts).await;
            }
        }
        told.retain(|(partition, _), _| context.partitions.get(*partition).is_some());
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
async fn scrub(replica: &OpenReplica, bytes_per_second: u64) -> Done {
    let step_bytes = step_bytes(bytes_per_second);
    let (mut from, mut all) = (Some(Offset(0)), Done::default());
    let end = replica.view().log_end;
    while let Some(at) = from.filter(|at| *at < end) {
        let reader = replica.reader.clone();
        let Ok(step) = tokio::task::spawn_blocking(move || reader.scrub(at, step_bytes)).await else { break };
        match step {
            Ok(step) => {
                from = step.next;
                all.bytes += step.bytes;
                tokio::time::sleep(pause(step.bytes, bytes_per_second)).await;
            }
            Err(Error::Closed) => break,
            Err(error) if error.is_damage() => {
                all.is_damaged = true;
                replica.read_failed(&error);
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

fn step_bytes(bytes_per_second: u64) -> u64 {
    (bytes_per_second / STEPS_PER_SECOND).clamp(1, MAX_STEP_BYTES)
}

/// How long to wait after so many bytes, as if the disk had taken no time.
fn pause(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_short_and_the_rate_is_kept() {
        assert_eq!(step_bytes(16 << 20), 2 << 20);
        assert_eq!(step_bytes(1 << 40), MAX_STEP_BYTES);
        assert_eq!(step_bytes(3), 1);
        assert_eq!(pause(2 << 20, 16 << 20), Duration::from_millis(125));
        assert_eq!(pause(0, 1), Duration::ZERO);
    }
}
