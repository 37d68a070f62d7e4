use std::path::Path;

use bytes::Bytes;
use crossbeam_channel::{Receiver, unbounded};
use tempfile::TempDir;

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::LogGeneration;

use super::*;
use crate::{
    Completion, FlushTiming, LogConfig,
    disk::tests::Fault,
    test_support::{Sample, open, open_on, partition, read_all, tempdir},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A writer with one partition whose completions can be received.
struct Rig {
    writer: LogWriter,
    handle: LogHandle,
    completions: Receiver<Completion>,
    disk: Arc<Disk>,
    folder: TempDir,
}

fn listen() -> (Notify, Receiver<Completion>) {
    let (sender, receiver) = unbounded();
    (Arc::new(move |completion| sender.send(completion).unwrap_or_default()), receiver)
}

impl Rig {
    fn new(log: LogConfig, config: WriterConfig) -> Self {
        let folder = tempdir().unwrap();
        let disk = Disk::new();
        let writer = LogWriter::start(Arc::clone(&disk), config).unwrap();
        let (notify, completions) = listen();
        let handle = writer.register(open_on(&disk, folder.path(), log), notify).unwrap();
        Self { writer, handle, completions, disk, folder }
    }

    fn append(&self, base: u64, generation: u64) {
        self.append_sample(Sample::at(base), generation);
    }

    fn append_sample(&self, sample: Sample, generation: u64) {
        let (records, base) = (sample.build(), sample.base);
        let room = self.writer.reserve(records.len()).unwrap();
        let (end_offset, generation) = (Offset(base + 1), LogGeneration(generation));
        self.handle.submit(Op::Append { records, end_offset, generation, room }).unwrap();
    }

    fn next(&self) -> Completion {
        self.completions.recv_timeout(PATIENCE).expect("a completion")
    }

    fn wait_flushed(&self, offset: u64) -> u64 {
        loop {
            match self.next() {
                Completion::Flushed { generation, offset: flushed } if flushed == Offset(offset) => {
                    return generation.0;
                }
                Completion::Flushed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn close(&self) {
        self.handle.submit(Op::Close).unwrap();
        loop {
            match self.next() {
                Completion::Closed => break,
                Completion::Flushed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        self.writer.shutdown();
    }
}

/// Keeps the only thread of a writer busy until the guard is dropped.
fn block_thread(rig: &Rig) -> (crossbeam_channel::Sender<()>, LogHandle) {
    let (release, blocked) = crossbeam_channel::bounded::<()>(0);
    let (entered, has_entered) = crossbeam_channel::bounded(1);
    let notify: Notify = Arc::new(move |_| {
        let _ = entered.try_send(());
        let _ = blocked.recv();
    });
    let other = open_on(&rig.disk, &rig.folder.path().join("other"), LogConfig::default());
    let handle = rig.writer.register(other, notify).unwrap();
    handle.submit(Op::Flush).unwrap();
    has_entered.recv_timeout(PATIENCE).unwrap();
    (release, handle)
}

fn one_thread() -> WriterConfig {
    WriterConfig { threads: 1, mark_interval_ms: 3_600_000, ..WriterConfig::default() }
}

#[test]
fn all_waiting_appends_of_a_partition_cost_one_write_and_one_fsync() {
    let rig = Rig::new(LogConfig::default(), one_thread());
    let (release, _other) = block_thread(&rig);
    for base in 0..100 {
        rig.append(base, 0);
        rig.handle.submit(Op::StoreHighWatermark { offset: Offset(base) }).unwrap();
    }
    let before = rig.disk.stats();
    drop(release);
    assert!(matches!(rig.next(), Completion::Flushed { offset: Offset(100), .. }), "all of them by one completion");
    let after = rig.disk.stats();
    assert_eq!((after.writes - before.writes, after.data_syncs - before.data_syncs), (1, 1));
    let noted = after.other_syncs - before.other_syncs;
    assert_eq!(noted, 3, "the begin of their leader epoch is noted, with its name, and the mark names the checkpoint");
    assert_eq!(bases(&rig.handle.reader()), (0..100).collect::<Vec<_>>());
    rig.close();
    assert_eq!(rig.writer.in_flight_bytes(), 0);
}

/// Whatever could not be opened, and whenever: the log goes on, and nothing is missing or told as failed.
#[test]
fn a_shortage_of_handles_at_any_step_only_delays_what_is_done() {
    let segments = LogConfig { segment_bytes: 1024, index_interval_bytes: 200, ..LogConfig::default() };
    for refused in 0.. {
        let rig = Rig::new(segments, one_thread());
        rig.disk.inject(Fault::RanOutAfter(refused));
        let epoch =
            |leader_epoch, start| Op::BeginEpoch { leader_epoch: LeaderEpoch(leader_epoch), start_offset: start };
        rig.handle.submit(epoch(1, Offset(0))).unwrap();
        let append = |base, generation| rig.append_sample(Sample { value_bytes: 400, ..Sample::at(base) }, generation);
        for base in 0..8 {
            append(base, 0);
            rig.wait_flushed(base + 1);
        }
        rig.handle.submit(Op::Truncate { to: Offset(3), generation: LogGeneration(1) }).unwrap();
        assert!(matches!(rig.next(), Completion::Truncated { end_offset: Offset(3), .. }));
        rig.handle.submit(epoch(2, Offset(3))).unwrap();
        for base in 3..12 {
            append(base, 1);
        }
        rig.wait_flushed(12);
        rig.handle.submit(Op::AdvanceStart { to: Offset(5) }).unwrap();
        assert!(matches!(rig.next(), Completion::LogStartAdvanced { offset: Offset(5) }));
        let whole = rig.handle.reader().read(Offset(5), 1 << 20, Offset(u64::MAX));
        assert_eq!(crate::test_support::bases(&whole.unwrap()).first(), Some(&5));
        rig.handle.submit(Op::StartOver { at: Offset(20), generation: LogGeneration(2) }).unwrap();
        assert!(matches!(rig.next(), Completion::Truncated { end_offset: Offset(20), .. }));
        for base in 20..24 {
            append(base, 2);
        }
        rig.wait_flushed(24);
        rig.close();
        assert_eq!(rig.writer.in_flight_bytes(), 0);
        assert!(rig.disk.failure().is_none());
        let (log, recovered) = open(rig.folder.path(), segments);
        assert_eq!(read_all(&log, 20).unwrap(), (20..24).collect::<Vec<_>>(), "refused {refused}");
        assert!(recovered.doubt.is_none());
        if rig.disk.is_pending() {
            assert!(refused > 50, "{refused}: the fault was played at each step");
            return;
        }
    }
}

fn bases(reader: &LogReader) -> Vec<u64> {
    crate::test_support::bases(&reader.read(Offset(0), 1 << 20, Offset(u64::MAX)).unwrap())
}

#[test]
fn a_round_is_bounded_in_bytes() {
    let size = Sample::at(0).build().len();
    let rig = Rig::new(LogConfig::default(), WriterConfig { max_round_bytes: size * 10, ..one_thread() });
    let (release, _other) = block_thread(&rig);
    for base in 0..25 {
        rig.append(base, 0);
    }
    drop(release);
    for end in [10, 20, 25] {
        assert!(matches!(rig.next(), Completion::Flushed { offset, .. } if offset == Offset(end)));
    }
    rig.close();
}

#[test]
fn operations_keep_their_order() {
    let rig = Rig::new(LogConfig::default(), one_thread());
    let (release, _other) = block_thread(&rig);
    let submit = |op| rig.handle.submit(op).unwrap();
    submit(Op::BeginEpoch { leader_epoch: LeaderEpoch(0), start_offset: Offset(0) });
    (0..10).for_each(|base| rig.append(base, 1));
    submit(Op::Truncate { to: Offset(6), generation: LogGeneration(2) });
    (6..8).for_each(|base| rig.append(base, 2));
    submit(Op::StoreHighWatermark { offset: Offset(7) });
    submit(Op::AdvanceStart { to: Offset(3) });
    (8..9).for_each(|base| rig.append(base, 2));
    submit(Op::StartOver { at: Offset(100), generation: LogGeneration(3) });
    (100..104).for_each(|base| rig.append(base, 3));
    drop(release);
    let mut told = Vec::new();
    while !told.iter().any(|told: &String| told == "flushed 3 104") {
        told.push(match rig.next() {
            Completion::Flushed { generation, offset } => format!("flushed {} {offset}", generation.0),
            Completion::Truncated { generation, end_offset, .. } => format!("truncated {} {end_offset}", generation.0),
            Completion::LogStartAdvanced { offset } => format!("start {offset}"),
            other => panic!("{other:?}"),
        });
    }
    told.retain(|told| !told.starts_with("flushed 1") && !told.starts_with("flushed 2"));
    assert_eq!(told, ["truncated 2 6", "start 3", "truncated 3 100", "flushed 3 104"]);
    rig.close();
    let (log, recovered) = open(rig.folder.path(), LogConfig::default());
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(100), Offset(104)));
    assert!(recovered.was_clean);
    assert_eq!(read_all(&log, 100).unwrap().len(), 4);
}

#[test]
fn an_interval_flushes_by_count_and_by_time() {
    let flush = FlushTiming::Interval { messages: 10, ms: 3_600_000 };
    let rig = Rig::new(LogConfig { flush, ..LogConfig::default() }, WriterConfig::default());
    assert_eq!(rig.disk.stats().data_syncs, 0, "a new log needs no recovery");
    (0..9).for_each(|base| rig.append(base, 0));
    let deadline = std::time::Instant::now() + PATIENCE;
    while rig.handle.reader().written_end() < Offset(9) {
        assert!(std::time::Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!((rig.disk.stats().data_syncs, rig.handle.reader().flushed_end()), (0, Offset(0)));
    rig.append(9, 0);
    rig.wait_flushed(10);
    rig.append(10, 0);
    let flush = FlushTiming::Interval { messages: u64::MAX, ms: 1 };
    rig.handle.submit(Op::Configure(LogConfig { flush, ..LogConfig::default() })).unwrap();
    rig.wait_flushed(11);
    rig.append(11, 0);
    rig.wait_flushed(12);
    rig.close();
}

#[test]
fn the_mark_follows_after_a_while_and_then_nothing_wakes() {
    let rig = Rig::new(LogConfig::default(), WriterConfig { mark_interval_ms: 1, ..WriterConfig::default() });
    let before = rig.disk.stats().other_syncs;
    rig.append(0, 0);
    rig.wait_flushed(1);
    let deadline = std::time::Instant::now() + PATIENCE;
    while rig.disk.stats().other_syncs == before {
        assert!(std::time::Instant::now() < deadline);
        thread::yield_now();
    }
    rig.handle.submit(Op::StoreHighWatermark { offset: Offset(1) }).unwrap();
    while rig.disk.stats().other_syncs == before + 1 {
        assert!(std::time::Instant::now() < deadline);
        thread::yield_now();
    }
    rig.close();
}

#[test]
fn a_failed_fsync_is_told_once_to_every_partition() {
    let rig = Rig::new(LogConfig::default(), WriterConfig::default());
    let (notify, others) = listen();
    let idle = rig.writer.register(open_on(&rig.disk, &rig.folder.path().join("idle"), LogConfig::default()), notify);
    let idle = idle.unwrap();
    rig.append(0, 0);
    rig.wait_flushed(1);
    rig.disk.inject(Fault::At { doing: "cannot fsync", path_ends_with: ".log" });
    rig.append(1, 0);
    let Completion::Failed { error } = rig.next() else { panic!("not failed") };
    let Completion::Failed { error: other } = others.recv_timeout(PATIENCE).unwrap() else { panic!("not failed") };
    assert_eq!(error.to_string(), other.to_string());
    assert_eq!(rig.writer.failure().unwrap().to_string(), error.to_string());
    for handle in [&rig.handle, &idle] {
        assert_eq!(handle.submit(Op::Flush).unwrap_err().to_string(), error.to_string());
    }
    let (notify, _) = listen();
    let healthy = open_on(&Disk::new(), &rig.folder.path().join("new"), LogConfig::default());
    assert!(rig.writer.register(healthy, notify).is_err());
    rig.writer.shutdown();
    assert!(rig.completions.try_recv().is_err() && others.try_recv().is_err(), "told once");
    assert_eq!(rig.writer.in_flight_bytes(), 0);
}

#[test]
fn an_operation_that_cannot_be_done_fails_its_partition_alone() {
    let rig = Rig::new(LogConfig::default(), WriterConfig::default());
    let (notify, others) = listen();
    let other = open_on(&rig.disk, &rig.folder.path().join("other"), LogConfig::default());
    let other = rig.writer.register(other, notify).unwrap();
    let room = rig.writer.reserve(5).unwrap();
    let records = Bytes::from_static(b"no batch");
    rig.handle.submit(Op::Append { records, end_offset: Offset(1), generation: LogGeneration(0), room }).unwrap();
    assert!(matches!(rig.next(), Completion::Failed { error: Error::BadBatch(_) }));
    assert!(rig.handle.submit(Op::Flush).is_err());
    other.submit(Op::Flush).unwrap();
    assert!(matches!(others.recv_timeout(PATIENCE).unwrap(), Completion::Flushed { .. }));
    assert!(rig.writer.failure().is_none());
}

#[test]
fn nothing_is_taken_after_a_close() {
    let rig = Rig::new(LogConfig::default(), WriterConfig::default());
    rig.append(0, 0);
    rig.close();
    assert!(matches!(rig.handle.submit(Op::Flush), Err(Error::Closed)));
    assert!(matches!(rig.handle.reader().read(Offset(0), 1, Offset(1)), Err(Error::Closed)));
    let path: &Path = rig.folder.path();
    assert!(PartitionLog::open(&Disk::new(), &path.join("p"), partition(), LogConfig::default()).unwrap().1.was_clean);
}

#[test]
fn many_partitions_share_the_threads() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let writer = LogWriter::start(Arc::clone(&disk), WriterConfig { threads: 3, ..WriterConfig::default() }).unwrap();
    let partitions: Vec<_> = (0..20)
        .map(|n| {
            let (notify, completions) = listen();
            let log = open_on(&disk, &folder.path().join(n.to_string()), LogConfig::default());
            (writer.register(log, notify).unwrap(), completions)
        })
        .collect();
    for base in 0..50 {
        for (handle, _) in &partitions {
            let records = Sample::at(base).build();
            let room = writer.reserve(records.len()).unwrap();
            let op = Op::Append { records, end_offset: Offset(base + 1), generation: LogGeneration(0), room };
            handle.submit(op).unwrap();
        }
    }
    for (handle, completions) in &partitions {
        let mut last = Offset(0);
        while last < Offset(50) {
            let Completion::Flushed { offset, .. } = completions.recv_timeout(PATIENCE).unwrap() else { panic!() };
            assert!(offset > last, "{offset} after {last}");
            last = offset;
        }
        assert_eq!(bases(&handle.reader()).len(), 50);
    }
    writer.shutdown();
}
