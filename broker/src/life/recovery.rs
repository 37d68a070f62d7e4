//! Opens the logs that are on disk when the broker starts, several at a time, and decides what each is worth.
//!
//! The broker vouches for each replica by itself. One whose log is damaged at or below its durable mark, or whose folder is
//! gone, has lost records that this broker once counted as held: were it registered as before, the controllers would still
//! take it for a holder and might elect it with a shorter log. So the registration names it, the controllers take it, and
//! it alone, out of ISR and eligible replicas *before* the broker is registered (KIP-903), and it is copied again. One at
//! whose end something was cut that may have counted is named as doubtful.
//!
//! A log that cannot be read for any other reason is named as unread, and nothing is noted of it: it is out of sync, keeps its
//! place among the eligible, and is tried again while the broker runs. Where that goes for all of them, by a cause that may be
//! one for all, the start ends: see `unopened`. Where handles or memory are wanting it is tried again first.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use holdfast_log::{
    Cause, DataDir, Distrust, ListState, LogConfig, PartitionLog, Recovered, ReplicaOnDisk, Standing, readable_end,
};
use holdfast_metadata::trust::{ReplicaReport, Vouch};
use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};

use super::unopened::{self, Unopened};
use crate::{exit::Fatal, here::context::Context, partition::findings::reason_of};

/// Threads that recover logs at the same time. Recovery reads the last segment of each log: it waits for the disk.
const RECOVERY_THREADS: usize = 8;

/// How often the log tells how far recovery is: a long start is seen to move.
const PROGRESS: Duration = Duration::from_secs(3);

/// Pauses before logs are tried again for which handles or memory were wanting: other processes may take them for a moment.
const SHORTAGE_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// What was found at start.
#[derive(Debug, Default)]
pub struct RecoveredLogs {
    /// Logs that were opened.
    pub opened: Vec<(TopicPartition, PartitionLog, Recovered)>,
    /// Replicas that the broker does not vouch for.
    pub distrusted: Vec<TopicPartition>,
    /// Replicas that could not be looked at. Nothing is said against them.
    pub unread: Vec<TopicPartition>,
}

/// Opens all logs of the folder, and leaves what the broker has to say of its replicas in the context. Blocks. An error if
/// the disk fails, or if none of them can be read by a cause that may be one for all: nothing was noted of them then.
pub fn recover(context: &Context) -> Result<RecoveredLogs, Fatal> {
    let data_dir = &context.logs.data_dir;
    let folder = |error: holdfast_log::Error| Fatal::DataFolder(error.to_string());
    let mut partitions = data_dir.partitions().map_err(folder)?;
    let is_distrusted = |replica: &&ReplicaOnDisk| matches!(replica.standing, Standing::Distrusted(_));
    let distrusted_before: BTreeSet<_> =
        data_dir.replicas().iter().filter(is_distrusted).map(|replica| replica.partition).collect();
    partitions.retain(|partition| !distrusted_before.contains(partition));
    let mut adopted = Vec::new();
    // Nobody knows whose records they are: what a deletion left, perhaps of one that was distrusted, or another's.
    let unlisted =
        |replica: &&ReplicaOnDisk| replica.standing == Standing::Adopted && data_dir.has_records(replica.partition);
    for ReplicaOnDisk { partition, .. } in data_dir.replicas().iter().filter(unlisted) {
        partitions.retain(|listed| listed != partition);
        adopted.push(*partition);
    }
    let (mut opened, mut failed) = recover_all(data_dir, &partitions);
    for pause in SHORTAGE_PAUSES {
        let (short, others): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, error)| error.is_shortage());
        failed = others;
        if short.is_empty() {
            break;
        }
        let (partition, error) = &short[0];
        tracing::warn!(logs = short.len(), %partition, %error, "logs are not opened, and are tried again");
        std::thread::sleep(pause);
        let short: Vec<_> = short.into_iter().map(|(partition, _)| partition).collect();
        let again = recover_all(data_dir, &short);
        opened.extend(again.0);
        failed.extend(again.1);
    }
    if let Some(failure) = context.logs.writer.failure() {
        return Err(Fatal::StorageFailed(failure.to_string()));
    }
    let (damaged, unread): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, error)| error.is_loss());
    if !unread.is_empty() {
        let is_out = |replica: &ReplicaOnDisk| matches!(replica.standing, Standing::Vanished | Standing::Distrusted(_));
        let has_others = !(opened.is_empty() && damaged.is_empty() && adopted.is_empty());
        if !has_others && !data_dir.replicas().iter().any(is_out) && unopened::is_one_for_all(&unread) {
            return Err(unopened::fatal(&unread));
        }
        unopened::tell(&unread);
    }
    let mut reports: Vec<ReplicaReport> =
        opened.iter().map(|(partition, _, recovered)| report_of(data_dir, *partition, recovered)).collect();
    let unread: Vec<_> = unread.into_iter().map(|(partition, _)| partition).collect();
    reports.extend(unread.iter().map(|partition| report(*partition, None, Offset(0), Vouch::Unread)));
    let mut distrusted = Vec::new();
    let mut distrust = |partition: TopicPartition, noted: &Distrust| {
        let (reason, detail) = (reason_of(noted.cause), &noted.reason);
        tracing::error!(
            %partition,
            ?reason,
            detail,
            readable_end = noted.end.map(|end| end.0),
            "this broker does not vouch for its replica: it stays as it is, and is copied again once another leads. Where \
             nobody else can `holdfast partition recover` goes on with what can be read of it"
        );
        reports.push(distrusted_report(partition, noted));
        distrusted.push(partition);
    };
    for (partition, error) in &damaged {
        // What lies before the damage can be read: an operator may go on with it where nobody holds more.
        let reach = data_dir.reach(*partition, readable_end(error));
        let noted = Distrust::new(Cause::Damaged, error.to_string()).reaching(reach);
        data_dir.distrust(*partition, noted.clone()).map_err(folder)?;
        distrust(*partition, &noted);
    }
    for partition in &adopted {
        let reason = "its folder is not listed: a deletion left it, or somebody put it there";
        let noted = Distrust::new(Cause::Damaged, reason).reaching(data_dir.reach(*partition, None));
        data_dir.distrust(*partition, noted.clone()).map_err(folder)?;
        distrust(*partition, &noted);
    }
    for replica in data_dir.replicas() {
        match &replica.standing {
            Standing::Held | Standing::Adopted => {}
            Standing::Vanished => {
                // Durably: a folder that is put back is no log that nothing was said against.
                let noted = Distrust::new(Cause::Vanished, "its folder is gone");
                data_dir.distrust(replica.partition, noted.clone()).map_err(folder)?;
                distrust(replica.partition, &noted);
            }
            Standing::Distrusted(Distrust { cause: Cause::Vanished, .. })
                if data_dir.has_records(replica.partition) =>
            {
                let reason = "its folder was gone, and was put back since";
                let reach = data_dir.reach(replica.partition, None);
                distrust(replica.partition, &Distrust::new(Cause::Damaged, reason).reaching(reach));
            }
            // Nothing can be read of it any more, however far it could be when that was noted.
            Standing::Distrusted(_) if data_dir.has_no_folder(replica.partition) => {
                distrust(replica.partition, &Distrust::new(Cause::Vanished, "its folder is gone"));
            }
            Standing::Distrusted(earlier) => distrust(replica.partition, earlier),
        }
    }
    if let ListState::Lost { reason } = data_dir.list_state() {
        tracing::error!(reason, "the list of replicas is lost: those that have no folder cannot be told from new ones");
    }
    // Set once: a start recovers once.
    let _ = context.reports.set(reports);
    Ok(RecoveredLogs { opened, distrusted, unread })
}

/// What the broker says of a log that it opened.
fn report_of(data_dir: &DataDir, partition: TopicPartition, recovered: &Recovered) -> ReplicaReport {
    let is_doubtful = recovered.doubt.is_some() || data_dir.was_copied();
    if let Some(doubt) = &recovered.doubt {
        tracing::warn!(%partition, doubt, "something was cut off at the end of a log that may have counted");
    }
    let (start, end) = (recovered.log_start_offset, recovered.log_end_offset);
    let leader_epoch = recovered.epochs.of_last_record(start, end, !is_doubtful);
    report(partition, leader_epoch, end, if is_doubtful { Vouch::Doubtful } else { Vouch::Full })
}

fn report(partition: TopicPartition, leader_epoch: Option<LeaderEpoch>, end: Offset, vouch: Vouch) -> ReplicaReport {
    let TopicPartition { topic_id, partition } = partition;
    ReplicaReport { topic_id, partition, leader_epoch, end, vouch }
}

/// What it says of one that it does not vouch for: how far it can be read, where that is known, else 0.
fn distrusted_report(partition: TopicPartition, noted: &Distrust) -> ReplicaReport {
    report(partition, noted.last_epoch, noted.end.unwrap_or_default(), Vouch::Not(reason_of(noted.cause)))
}

/// Opens these logs. Blocks; tells its progress in the log.
fn recover_all(
    data_dir: &DataDir,
    partitions: &[TopicPartition],
) -> (Vec<(TopicPartition, PartitionLog, Recovered)>, Vec<Unopened>) {
    let started = Instant::now();
    let total = partitions.len();
    let next = AtomicUsize::new(0);
    let opened = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    let progress = Progress { started, total, logs: AtomicUsize::new(0), bytes: AtomicU64::new(0) };
    std::thread::scope(|scope| {
        // Nothing is sent: the last worker's end closes it.
        let (working, ended) = sync_channel::<()>(0);
        for _ in 0..RECOVERY_THREADS.min(total) {
            let working = working.clone();
            let (next, opened, failed, progress) = (&next, &opened, &failed, &progress);
            scope.spawn(move || {
                let _working = working;
                while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match data_dir.recover_partition(*partition, LogConfig::default()) {
                        Ok((log, recovered)) => {
                            tell(*partition, &recovered);
                            progress.logs.fetch_add(1, Ordering::Relaxed);
                            progress.bytes.fetch_add(log.reader().size_bytes(), Ordering::Relaxed);
                            opened.lock().expect("no thread panics here").push((*partition, log, recovered));
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
    (opened.into_inner().expect("no thread panics here"), failed)
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
            "cut a torn tail"
        );
    } else {
        tracing::debug!(%partition, log_end = %recovered.log_end_offset, "log recovered");
    }
}
