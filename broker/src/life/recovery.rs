//! Opens the logs that are on disk when the broker starts, several at a time, and decides what a damaged one means.
//!
//! A log that is damaged at or below its durable mark has lost records that this broker once counted as held. If it
//! registered as before, the controller would still take it for a holder and might elect it with a shorter log. So the
//! broker does not register at all: it ends with exit code 13, and the partition stays with its other replicas. When
//! these exist, the operator starts it once with `set_aside_damaged_logs`: damaged logs are moved aside as they are, and
//! the folder is given a new identity, by which the controller removes this broker from every ISR and every list of
//! eligible leaders *before* it registers (KIP-903). It then copies what it lacks and joins again.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use holdfast_log::{DataDir, LogConfig, PartitionLog, Recovered};
use holdfast_proto::ids::TopicPartition;

use crate::{exit::Fatal, here::context::Context};

/// Threads that recover logs at the same time. Recovery reads the last segment of each log: it waits for the disk.
const RECOVERY_THREADS: usize = 8;

/// How often the log tells how far recovery is: a long start is seen to move.
const PROGRESS: Duration = Duration::from_secs(3);

/// Logs that were opened at start.
#[derive(Debug, Default)]
pub struct RecoveredLogs(pub Vec<(TopicPartition, PartitionLog, Recovered)>);

/// A log that cannot be opened.
type Failed = (TopicPartition, holdfast_log::Error);

/// Opens all logs of the folder, or says why the broker must not go on. Blocks.
pub fn recover(context: &Context) -> Result<RecoveredLogs, Fatal> {
    let failed = match recover_all(&context.logs.data_dir)? {
        (logs, failed) if failed.is_empty() => return Ok(logs),
        (_, failed) => failed,
    };
    let damaged = failed.iter().all(|(_, error)| error.is_damage());
    if !damaged || !context.config.set_aside_damaged_logs {
        return Err(refusal(&failed));
    }
    set_aside(&context.logs.data_dir, &failed).map_err(|error| Fatal::DataFolder(error.to_string()))?;
    match recover_all(&context.logs.data_dir)? {
        (logs, failed) if failed.is_empty() => Ok(logs),
        (_, failed) => Err(refusal(&failed)),
    }
}

/// First the new identity, then the moves: a crash between the two leaves a folder that counts as empty.
fn set_aside(data_dir: &DataDir, failed: &[Failed]) -> Result<(), holdfast_log::Error> {
    let directory = data_dir.renew_directory_id()?;
    tracing::warn!(%directory, "the data folder has a new identity: no record on it counts until it was copied again");
    for (partition, error) in failed {
        let path = data_dir.quarantine_partition(*partition)?;
        tracing::warn!(%partition, %error, path = %path.display(), "a damaged log was set aside");
    }
    Ok(())
}

/// Opens all logs of the folder. Blocks; tells its progress in the log.
fn recover_all(data_dir: &DataDir) -> Result<(RecoveredLogs, Vec<Failed>), Fatal> {
    let started = Instant::now();
    let partitions = data_dir.partitions().map_err(|error| Fatal::DataFolder(error.to_string()))?;
    let total = partitions.len();
    let next = AtomicUsize::new(0);
    let opened = Mutex::new(RecoveredLogs::default());
    let failed = Mutex::new(Vec::new());
    let progress = Progress { started, total, logs: AtomicUsize::new(0), bytes: AtomicU64::new(0) };
    std::thread::scope(|scope| {
        // Nothing is sent: the last worker's end closes it.
        let (working, ended) = sync_channel::<()>(0);
        for _ in 0..RECOVERY_THREADS.min(total) {
            let working = working.clone();
            let (partitions, next, opened, failed, progress) = (&partitions, &next, &opened, &failed, &progress);
            scope.spawn(move || {
                let _working = working;
                while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match data_dir.open_partition(*partition, LogConfig::default()) {
                        Ok((log, recovered)) => {
                            tell(*partition, &recovered);
                            progress.logs.fetch_add(1, Ordering::Relaxed);
                            progress.bytes.fetch_add(log.reader().size_bytes(), Ordering::Relaxed);
                            opened.lock().expect("no thread panics here").0.push((*partition, log, recovered));
                        }
                        Err(error) => failed.lock().expect("no thread panics here").push((*partition, error)),
                    }
                }
            });
        }
        drop(working);
        while matches!(ended.recv_timeout(PROGRESS), Err(RecvTimeoutError::Timeout)) {
            progress.tell("recovering logs");
        }
    });
    let failed = failed.into_inner().expect("no thread panics here");
    progress.tell("logs recovered");
    Ok((opened.into_inner().expect("no thread panics here"), failed))
}

/// How far recovery is.
struct Progress {
    started: Instant,
    total: usize,
    logs: AtomicUsize,
    bytes: AtomicU64,
}

impl Progress {
    fn tell(&self, what: &str) {
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let (logs, bytes) = (self.logs.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        tracing::info!(logs, of = self.total, bytes, elapsed_ms, "{what}");
    }
}

fn tell(partition: TopicPartition, recovered: &Recovered) {
    if recovered.truncated_bytes > 0 {
        tracing::warn!(
            %partition,
            bytes = recovered.truncated_bytes,
            log_end = %recovered.log_end_offset,
            "cut a torn tail: bytes that were never durable"
        );
    } else {
        tracing::debug!(%partition, log_end = %recovered.log_end_offset, "log recovered");
    }
}

/// Why the broker ends: each failed log with its error, and what to do.
fn refusal(failed: &[Failed]) -> Fatal {
    let list: Vec<String> = failed.iter().map(|(partition, error)| format!("{partition}: {error}")).collect();
    let list = list.join("; ");
    if failed.iter().any(|(_, error)| error.is_shortage()) {
        let cure = "the broker needs two open files for each log, and some for connections: raise the limit (`ulimit -n`, \
                    LimitNOFILE)";
        Fatal::StorageFailed(format!("{list}; {cure}"))
    } else if failed.iter().any(|(_, error)| error.is_damage()) {
        let cure = "the logs are left as they are. If other replicas hold these partitions, start once with \
                    `--set set_aside_damaged_logs=true`: the broker then counts as empty until it has copied them";
        Fatal::LogDamaged(format!("{list}; {cure}"))
    } else {
        Fatal::StorageFailed(list)
    }
}
