//! Sends every line of the input, at full speed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use holdfast_checker::{
    account::Record,
    ledger::{Ledger, Summary, Watch, sequence_header},
    text::{bytes, grouped},
    tracker::Tracker,
};
use holdfast_client::{
    Client,
    producer::{Producer, Record as Outgoing},
};
use holdfast_local::faults::Target;
use holdfast_proto::{batch::Compression, partitioner::partition_for_key};

use super::input::{Input, Lines};
use crate::{
    exit::{Failure, Result},
    progress::Progress,
};

/// How long a record may be on its way. Far beyond any fail-over.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(3);

/// How many records are sent between two looks at progress and schedule.
const STRIDE: u64 = 256;

/// Faults that are due, each with a channel that closes once it has healed.
pub type DueFaults = mpsc::Sender<(Target, mpsc::Sender<()>)>;

/// What was sent, once the outcome of every record is known.
#[derive(Debug)]
pub struct Produced {
    /// Records sent, whatever became of them.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// From the first send to the last acknowledgement.
    pub elapsed: Duration,
    /// What was acknowledged, refused or is in doubt, and the longest pause.
    pub summary: Summary,
}

/// Lets faults happen when their share of the input is sent.
struct Gate {
    schedule: std::vec::IntoIter<(u64, Target)>,
    next: Option<(u64, Target)>,
    due: DueFaults,
    healing: Option<mpsc::Receiver<()>>,
}

impl Gate {
    fn new(schedule: Vec<(f64, Target)>, total_bytes: u64, due: DueFaults) -> Self {
        let at = |(share, target)| ((share * total_bytes as f64) as u64, target);
        let mut schedule = schedule.into_iter().map(at).collect::<Vec<_>>().into_iter();
        let next = schedule.next();
        Self { schedule, next, due, healing: None }
    }

    /// Does what is due after so many bytes; waits first until the fault before has healed.
    async fn pass(&mut self, sent_bytes: u64) -> Result {
        while let Some((at, target)) = self.next
            && sent_bytes >= at
        {
            self.wait_healed().await;
            let (healed, healing) = mpsc::channel(1);
            let gone = || Failure::error("the faults came to an end before the input did");
            self.due.send((target, healed)).await.map_err(|_| gone())?;
            self.healing = Some(healing);
            self.next = self.schedule.next();
        }
        Ok(())
    }

    async fn wait_healed(&mut self) {
        if let Some(mut healing) = self.healing.take() {
            // Ends when the other side drops it; nothing is ever sent.
            let _closed = healing.recv().await;
        }
    }
}

/// The producer of the demo.
pub async fn open(client: Client, compression: Compression) -> Result<Producer> {
    let builder = Producer::builder(client).compression(compression);
    Ok(builder.delivery_timeout(DELIVERY_TIMEOUT).max_block(DELIVERY_TIMEOUT).build().await?)
}

/// Sends every line, and waits until the outcome of each is known.
pub async fn produce(
    producer: Producer,
    topic: &str,
    input: &Input,
    schedule: Vec<(f64, Target)>,
    due: DueFaults,
    watch: Arc<Watch>,
    progress: &Progress,
) -> Result<Produced> {
    let topic = producer.topic(topic).await?;
    let partition_count = topic.partition_count() as u32;
    let tracker = Tracker::start(partition_count, |partition| Ledger::new(partition, Arc::clone(&watch)));
    let mut gate = Gate::new(schedule, input.bytes, due);
    let start = Instant::now();
    let (mut records, mut sent_bytes, mut value_bytes) = (0_u64, 0_u64, 0_u64);
    let tell = |sent_bytes: u64| {
        let acked = watch.acked();
        let rate = acked as f64 / start.elapsed().as_secs_f64().max(0.001);
        progress.set(sent_bytes, || format!("{} acknowledged, {}/s", grouped(acked), grouped(rate as u64)));
    };
    for file in &input.files {
        let partition = partition_for_key(&file.key, partition_count);
        let mut lines = Lines::open(file)?;
        let mut sequence = 0;
        while let Some(line) = lines.next_line().map_err(Failure::file("read", &file.path))? {
            let headers = [sequence_header(sequence)];
            let identity = Record::new(&file.key, sequence, line);
            let record = Outgoing::new(&topic).partition(partition).key(&file.key).value(line).headers(&headers);
            let now = Instant::now();
            let delivery = producer.enqueue(record).await?;
            tracker.track(partition.0, identity, now, delivery).await?;
            sequence += 1;
            records += 1;
            value_bytes += line.len() as u64;
            sent_bytes += line.len() as u64 + 1;
            if records.is_multiple_of(STRIDE) {
                gate.pass(sent_bytes).await?;
                tell(sent_bytes);
            }
        }
    }
    gate.pass(u64::MAX).await?;
    // Ends the faults' loop once the last one has healed.
    drop(gate);
    let _report = producer.close(DELIVERY_TIMEOUT + Duration::from_secs(10)).await;
    let summary = Summary::close(tracker.finish().await);
    let elapsed = start.elapsed();
    tell(input.bytes);
    progress.end();
    progress.tell(&format!(
        "produced {} records, {} in {:.1} s: {} records/s, {}/s",
        grouped(records),
        bytes(value_bytes),
        elapsed.as_secs_f64(),
        grouped((records as f64 / elapsed.as_secs_f64()) as u64),
        bytes((value_bytes as f64 / elapsed.as_secs_f64()) as u64)
    ));
    Ok(Produced { records, bytes: value_bytes, elapsed, summary })
}
