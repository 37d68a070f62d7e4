//! From the first connection to the last outcome.
//!
//! Signals: before the topic is found the first one ends it. Then the first one ends the reading; what was read is still
//! sent and waited for, and it says so. The second one gives up what has no outcome, and tells how much that is.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use holdfast_checker::text::{counted, grouped};
use holdfast_client::{
    Client,
    producer::{CloseReport, DeliveryFuture, Producer, Record, TopicHandle},
};
use holdfast_proto::ids::PartitionIndex;

use super::{
    command::ProduceArgs,
    input::{self, Sources},
    intake::{Chunk, Intake},
    outcomes::{self, Place},
    record::split,
    report::{Report, name},
};
use crate::{
    exit::{Code, Failure, Result},
    output::{Output, note},
    progress::Progress,
    signals::Signals,
};

/// Records whose outcome is waited for at once; the producer's own buffer is the smaller bound.
const WAITING_MAX: usize = 1 << 20;
/// Beyond the delivery timeout: time for the last answers.
const GRACE: Duration = Duration::from_secs(5);
/// How long the end waits for outcomes before it says so.
const SILENCE: Duration = Duration::from_secs(3);

/// Sends all of the input and waits for every outcome. Fails if one record was refused or is in doubt.
pub async fn run(args: ProduceArgs, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let (client, producer, topic) = tokio::select! {
        opened = open(&args) => opened?,
        code = signals.wait() => return Err(Failure::new(code, "interrupted before anything was read")),
    };
    let start = Instant::now();
    let sources = Sources::new(&args.files);
    let intake = input::start(sources.clone(), args.delimiter.clone())?;
    let (waiting, outcomes) = mpsc::channel(WAITING_MAX);
    let (cut_short, cut) = oneshot::channel();
    let mut outcomes = tokio::spawn(outcomes::gather(outcomes, cut));
    let quiet = output == Output::Json || (io::stdin().is_terminal() && args.files.is_empty());
    let progress = (!quiet && io::stderr().is_terminal()).then(|| Progress::start("producing", 0));
    let sending = Sending {
        args: &args,
        client: &client,
        producer: &producer,
        topic: &topic,
        sources: &sources,
        taken: AtomicU64::new(0),
        sent: AtomicU64::new(0),
    };

    let mut interrupted = None;
    let mut gives_up = false;
    let stopped_by = {
        let mut all = pin!(sending.run(&intake, waiting, progress.as_ref()));
        loop {
            tokio::select! {
                result = &mut all => break result.err(),
                code = signals.wait() => {
                    if interrupted.replace(code).is_some() {
                        gives_up = true;
                        break None;
                    }
                    intake.stop();
                    sending.tell_what_is_awaited();
                }
            }
        }
    };
    let left = intake.close() + sending.rest_of_chunk();
    let counts = if gives_up { sending.give_up().await } else { sending.close(&mut signals, &mut interrupted).await };
    // Every outcome is known by now; should one not be told, this ends like all else by the second signal.
    let outcomes = tokio::select! {
        outcomes = &mut outcomes => outcomes,
        () = second(&mut signals, &mut interrupted) => {
            drop(cut_short);
            outcomes.await
        }
    };
    let unreachable = client.unreachable_brokers().into_iter().next();
    if let Some(progress) = progress {
        progress.end();
    }
    let report = Report {
        topic: args.topic.clone(),
        sent: sending.sent(),
        sources: sources.clone(),
        left,
        counts,
        outcomes: outcomes.unwrap_or_default(),
        stopped_by,
        unreachable,
        interrupted,
        time: start.elapsed(),
    };
    report.tell(output)
}

/// Waits for the second signal, of which the first may have come before.
async fn second(signals: &mut Signals, interrupted: &mut Option<Code>) {
    while interrupted.replace(signals.wait().await).is_none() {}
}

/// The client, its producer, and the topic.
async fn open(args: &ProduceArgs) -> Result<(Client, Producer, TopicHandle)> {
    let client = args.connect.client().await?;
    let builder = Producer::builder(client.clone()).acks(args.acks.into()).compression(args.compression);
    let timeout = args.delivery_timeout;
    let producer = builder.delivery_timeout(timeout).max_block(timeout).build().await?;
    let topic = producer.topic(&args.topic).await?;
    match args.partition {
        Some(partition) if partition as usize >= topic.partition_count() => Err(Failure::usage(format!(
            "unknown partition '{partition}' of {}; known: 0 to {}",
            topic.name(),
            topic.partition_count() - 1
        ))),
        _ => Ok((client, producer, topic)),
    }
}

/// What sends, and how far it is.
struct Sending<'a> {
    args: &'a ProduceArgs,
    client: &'a Client,
    producer: &'a Producer,
    topic: &'a TopicHandle,
    sources: &'a Sources,
    /// Records that came out of the intake.
    taken: AtomicU64,
    /// Those of them that were given to the producer.
    sent: AtomicU64,
}

impl Sending<'_> {
    /// Sends every record that comes out of the intake.
    async fn run(
        &self,
        intake: &Intake,
        waiting: mpsc::Sender<(Place, DeliveryFuture)>,
        progress: Option<&Progress>,
    ) -> Result {
        while let Some(chunk) = intake.next().await {
            let Chunk { source, first, records } = chunk?;
            self.taken.fetch_add(records.len() as u64, Ordering::Relaxed);
            for (number, line) in (first..).zip(records) {
                let place = Place { source, number };
                let delivery = self.accept(&line).await.map_err(|failure| {
                    Failure::new(failure.code, format!("{}: {failure}", name(self.sources, place)))
                })?;
                self.sent.fetch_add(1, Ordering::Relaxed);
                // Fails only after the other side ended, which it does last.
                let _taken = waiting.send((place, delivery)).await;
            }
            if let Some(progress) = progress {
                let delivered = self.producer.report().delivered;
                progress.set(0, || format!("{} read, {} delivered", grouped(self.sent()), grouped(delivered)));
            }
        }
        Ok(())
    }

    async fn accept(&self, line: &[u8]) -> Result<DeliveryFuture> {
        let (key, value) = split(line, self.args);
        let mut record = Record::new(self.topic).headers(&self.args.headers);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(value) = value {
            record = record.value(value);
        }
        if let Some(partition) = self.args.partition {
            record = record.partition(PartitionIndex(partition));
        }
        Ok(self.producer.enqueue(record).await?)
    }

    /// Waits for the outcome of all records, or for the second signal.
    async fn close(&self, signals: &mut Signals, interrupted: &mut Option<Code>) -> CloseReport {
        let timeout = self.args.delivery_timeout + GRACE;
        let mut closing = pin!(self.producer.clone().close(timeout));
        let mut silence = pin!(tokio::time::sleep(SILENCE));
        let mut told = interrupted.is_some();
        loop {
            tokio::select! {
                report = &mut closing => return report,
                () = &mut silence, if !told => {
                    told = true;
                    self.tell_what_is_awaited();
                }
                code = signals.wait() => {
                    if interrupted.replace(code).is_some() {
                        return self.give_up().await;
                    }
                    told = true;
                    self.tell_what_is_awaited();
                }
            }
        }
    }

    /// Waits for nothing more: what has no outcome by now is in doubt, or was never sent.
    async fn give_up(&self) -> CloseReport {
        self.producer.clone().close(Duration::ZERO).await
    }

    /// Says what the end waits for, if it waits.
    fn tell_what_is_awaited(&self) {
        let CloseReport { delivered, not_appended, in_doubt } = self.producer.report();
        let open = self.sent().saturating_sub(delivered + not_appended + in_doubt);
        if open > 0 {
            note(format!(
                "waiting for {} without an answer so far, for {:?} at the most; Ctrl-C gives up",
                counted(open, "record"),
                self.args.delivery_timeout
            ));
            self.client.unreachable_brokers().iter().for_each(|error| note(error.to_string()));
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Records of the chunk in hand that were not given to the producer, once the sending has ended.
    fn rest_of_chunk(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) - self.sent()
    }
}
