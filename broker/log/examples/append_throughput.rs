//! Prints how fast batches of 64 KiB become durable, for 1, 6 and 18 partitions.
//!
//! `cargo run --release -p holdfast-log --example append_throughput -- [folder] [seconds] [threads] [in flight] [KiB]`
//!
//! Each partition keeps some appends in flight, as producers do. The folder must lie on the disk to be measured.

use std::{
    env, error,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use holdfast_log::{Completion, DataDir, LogConfig, LogWriter, Op, WriterConfig};
use holdfast_proto::{
    batch::{BatchBuilder, Compression, RecordRef, set_base_offset_and_epoch},
    ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition},
};
use holdfast_replication::LogGeneration;

type Result<T> = std::result::Result<T, Box<dyn error::Error + Send + Sync>>;

/// The command line's arguments, defaults filled in.
#[derive(Clone, Debug)]
struct Plan {
    folder: PathBuf,
    time: Duration,
    threads: usize,
    in_flight: u64,
    batch_bytes: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let plan = Plan {
        folder: args.first().map_or_else(|| env::temp_dir().join("holdfast-append-throughput"), PathBuf::from),
        time: Duration::from_secs(number(&args, 1, 3)?),
        threads: number(&args, 2, WriterConfig::default().threads)?,
        in_flight: number(&args, 3, 4)?,
        batch_bytes: number::<usize>(&args, 4, 64)? * 1024,
    };
    println!("{plan:?}");
    println!("partitions  appends/s   MB/s  fsyncs/s  appends/fsync  p50 ms  p99 ms");
    for partitions in [1, 6, 18] {
        let folder = plan.folder.join(partitions.to_string());
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        measure(&plan, &folder, partitions)?;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn number<T: FromStr>(args: &[String], at: usize, default: T) -> Result<T>
where
    T::Err: error::Error + Send + Sync + 'static,
{
    args.get(at).map_or(Ok(default), |arg| Ok(arg.parse()?))
}

fn measure(plan: &Plan, folder: &Path, partitions: u32) -> Result<()> {
    let dir = DataDir::open(folder, BrokerId(0), None)?;
    let writer = LogWriter::start(dir.disk(), WriterConfig { threads: plan.threads, ..WriterConfig::default() })?;
    let template = batch(plan.batch_bytes)?;
    let before = dir.disk().stats();
    let appended = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut producers = Vec::new();
    for index in 0..partitions {
        let partition =
            TopicPartition { topic_id: TopicId::from_bytes(&[7; 16]).ok_or("id")?, partition: PartitionIndex(index) };
        let (log, _) = dir.open_partition(partition, LogConfig::default())?;
        let (sender, flushed) = mpsc::channel();
        let notify = move |completion| {
            if let Completion::Flushed { offset, .. } = completion {
                let _ = sender.send(offset);
            }
        };
        let handle = writer.register(log, Arc::new(notify))?;
        let (writer, template, appended) = (writer.clone(), template.clone(), Arc::clone(&appended));
        let (until, in_flight) = (start + plan.time, plan.in_flight);
        producers.push(thread::spawn(move || -> Result<Vec<Duration>> {
            let mut latencies = Vec::new();
            let mut sent = std::collections::VecDeque::new();
            let (mut next, mut done) = (0, 0);
            while Instant::now() < until {
                while next - done < in_flight {
                    let mut records = BytesMut::from(&template[..]);
                    set_base_offset_and_epoch(&mut records, Offset(next), LeaderEpoch(0));
                    next += 1;
                    let (records, end_offset) = (records.freeze(), Offset(next));
                    let room = writer.reserve(records.len())?;
                    sent.push_back(Instant::now());
                    handle.submit(Op::Append { records, end_offset, generation: LogGeneration(0), room })?;
                }
                let Offset(offset) = flushed.recv_timeout(Duration::from_secs(30))?;
                let now = Instant::now();
                latencies.extend(sent.drain(..(offset - done) as usize).map(|sent| now - sent));
                appended.fetch_add(offset - done, Ordering::Relaxed);
                done = offset;
            }
            Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for producer in producers {
        latencies.extend(producer.join().map_err(|_| "a producer panicked")??);
    }
    let seconds = start.elapsed().as_secs_f64();
    let appended = appended.load(Ordering::Relaxed);
    let syncs = dir.disk().stats().data_syncs - before.data_syncs;
    latencies.sort_unstable();
    let percentile =
        |part: usize| latencies.get(latencies.len() * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{partitions:>10}  {:>9.0}  {:>5.0}  {:>8.0}  {:>13.1}  {:>6.2}  {:>6.2}",
        appended as f64 / seconds,
        (appended * template.len() as u64) as f64 / seconds / 1e6,
        syncs as f64 / seconds,
        appended as f64 / syncs as f64,
        percentile(50),
        percentile(99),
    );
    writer.shutdown();
    Ok(())
}

/// One batch of one record, of about this size.
fn batch(bytes: usize) -> Result<Bytes> {
    let value = vec![b'x'; bytes.saturating_sub(80)];
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(&RecordRef { timestamp: TimestampMs(1), key: None, value: Some(&value), headers: &[] })?;
    Ok(builder.build(None)?)
}
