//! Produces numbered records at a rate, and keeps the account.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;

use holdfast_checker::{
    account::Record,
    board::Board,
    holes::Holes,
    ledger::{Ledger, Summary, Watch, sequence_header},
    pace::Pace,
    sequences::{KEYS_HEADER, LAST_HEADER},
    totals::Totals,
    tracker::{Handler, Tracker},
    values::Values,
};
use holdfast_client::{
    Client,
    producer::{Delivery, Error, Producer, Record as Outgoing, TopicHandle},
};
use holdfast_proto::{
    batch::{Compression, Header},
    ids::PartitionIndex,
};

use crate::{commands::load_thread::Sender, exit::Result};

/// Excuses that fit into one end marker. More than this many holes apart only a cluster that is down for long makes;
/// the later check then calls the rest lost, which the account of the run itself does not.
const HOLES_MAX: usize = 10_000;

/// A key states how far its neighbours reach after so many records of its own, or after so long if they are few.
const STATEMENT_RECORDS: u32 = 64;
const STATEMENT_TIME: Duration = Duration::from_secs(5);

/// Names one run among all that ever wrote to a topic.
pub(super) fn random_run_id() -> String {
    // The standard library's hasher is seeded by the system's randomness.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// What the keys of all runs begin with.
pub(super) const KEY_PREFIX: &str = "audit/";

/// What all keys of a run begin with.
pub(super) fn key_prefix(run_id: &str) -> String {
    format!("{KEY_PREFIX}{run_id}/")
}

/// What the load tells while it runs.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Acknowledgements and pauses by partition.
    pub(super) watch: Arc<Watch>,
    /// Pauses of all partitions together.
    pub(super) totals: Totals,
}

/// Follows the records of one key: one producer and partition.
struct Follower {
    partition: u32,
    ledger: Ledger,
    /// How far all keys of its producer reach.
    board: Arc<Board>,
    /// Numbers that may be absent.
    holes: Holes,
    /// True once a record was acknowledged.
    is_there: bool,
    gauges: Arc<Gauges>,
}

/// What is followed: the record's identity and its number.
type Item = (Record, u64);

impl Handler<Item> for Follower {
    fn done(&mut self, (record, number): Item, sent: Instant, now: Instant, result: SendOutcome) {
        self.gauges.totals.done(sent, now, result.is_ok());
        if let Ok(delivery) = &result {
            self.is_there = true;
            let offset = delivery.offset.map_or(0, |offset| offset.0);
            self.board.acknowledged(self.partition, number, offset);
        } else {
            self.board.may_be_absent(self.partition, number);
            if self.holes.ranges() < HOLES_MAX {
                self.holes.push(number);
            }
        }
        self.ledger.done(record, sent, now, result);
    }
}

type SendOutcome = std::result::Result<Delivery, Error>;

/// How the producers deliver.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Longest time to deliver a record.
    pub(super) delivery_timeout: Duration,
    pub(super) compression: Compression,
}

/// Since when a key has not stated anything.
#[derive(Clone, Copy)]
struct Unstated {
    records: u32,
    since: Instant,
}

/// One producer and its keys.
struct KeyedProducer {
    producer: Producer,
    topic: TopicHandle,
    tracker: Tracker<Item, Follower>,
    /// One key for each partition, by index; no other run uses it.
    keys: Vec<Bytes>,
    /// The next number of each key.
    next: Vec<u64>,
    board: Arc<Board>,
    /// One for each key, by its partition.
    unstated: Vec<Unstated>,
    /// Records that found no room in the buffer for a whole delivery timeout.
    unaccepted: u64,
}

impl KeyedProducer {
    async fn open(client: Client, topic: &str, prefix: &str, how: How, gauges: &Arc<Gauges>) -> Result<Self> {
        let builder = Producer::builder(client).compression(how.compression);
        let producer = builder.delivery_timeout(how.delivery_timeout).max_block(how.delivery_timeout).build().await?;
        let topic = producer.topic(topic).await?;
        let count = topic.partition_count() as u32;
        let keys = (0..count).map(|partition| Bytes::from(format!("{prefix}{partition}"))).collect();
        let board = Arc::new(Board::new(count));
        let tracker = Tracker::start(count, |partition| Follower {
            partition,
            board: Arc::clone(&board),
            ledger: Ledger::new(partition, Arc::clone(&gauges.watch)),
            holes: Holes::default(),
            is_there: false,
            gauges: Arc::clone(gauges),
        });
        let unstated = vec![Unstated { records: 0, since: Instant::now() }; count as usize];
        Ok(Self { producer, topic, tracker, keys, next: vec![0; count as usize], board, unstated, unaccepted: 0 })
    }

    /// Sends the next record of the partition, and before it a statement if one is due; false if the load is to stop.
    /// Fails only where no later record would fare better.
    fn send(
        &mut self,
        partition: u32,
        value: &[u8],
        due: Instant,
        gauges: &Gauges,
        sender: &mut Sender,
    ) -> Result<bool> {
        let unstated = &mut self.unstated[partition as usize];
        unstated.records += 1;
        let is_due = unstated.records > STATEMENT_RECORDS || due.duration_since(unstated.since) > STATEMENT_TIME;
        if is_due && let Some(statement) = self.board.statement(partition) {
            *unstated = Unstated { records: 0, since: due };
            if !self.send_one(partition, b"", Some(statement), due, gauges, sender)? {
                return Ok(false);
            }
        }
        self.send_one(partition, value, None, due, gauges, sender)
    }

    fn send_one(
        &mut self,
        partition: u32,
        value: &[u8],
        statement: Option<Header>,
        due: Instant,
        gauges: &Gauges,
        sender: &mut Sender,
    ) -> Result<bool> {
        let at = partition as usize;
        let (key, number) = (&self.keys[at], self.next[at]);
        let headers: Vec<_> = [sequence_header(number)].into_iter().chain(statement).collect();
        let record = outgoing(&self.topic, partition, key, value, &headers);
        match sender.send(&self.producer, record) {
            Ok(None) => Ok(false),
            Ok(Some(future)) => {
                gauges.totals.sent();
                self.next[at] += 1;
                let item = (Record::new(key, number, value), number);
                Ok(self.tracker.track_blocking(partition, item, due, future).is_ok())
            }
            Err(Error::BufferFull { .. }) => {
                self.unaccepted += 1;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the outcome of all records, sends each key's end marker, and gives the ledgers.
    async fn close(self, gauges: &Gauges, timeout: Duration) -> (Vec<Ledger>, u64) {
        let Self { producer, topic, tracker, keys, next, board, unaccepted, .. } = self;
        let mut followers = tracker.finish().await;
        let mut there = Holes::default();
        (0..).zip(&followers).filter(|(_, follower)| follower.is_there).for_each(|(index, _)| there.push(index));
        let there = Bytes::from(there.to_text());
        let words = followers.iter().zip(&keys).zip(&next).zip(0..).map(|(((follower, key), number), partition)| {
            let last = Header { key: LAST_HEADER.to_owned(), value: Some(Bytes::from(follower.holes.to_text())) };
            let all = Header { key: KEYS_HEADER.to_owned(), value: Some(there.clone()) };
            let headers: Vec<_> =
                [sequence_header(*number), last, all].into_iter().chain(board.statement(partition)).collect();
            let (producer, topic) = (&producer, &topic);
            gauges.totals.sent();
            async move {
                let sent = Instant::now();
                let outcome = producer.send(outgoing(topic, partition, key, b"", &headers)).await;
                ((Record::new(key, *number, b""), *number), sent, Instant::now(), outcome)
            }
        });
        let outcomes = join_all(words).await;
        for (follower, (item, sent, now, outcome)) in followers.iter_mut().zip(outcomes) {
            follower.done(item, sent, now, outcome);
        }
        let _report = producer.close(timeout).await;
        (followers.into_iter().map(|follower| follower.ledger).collect(), unaccepted)
    }
}

fn outgoing<'a>(
    topic: &'a TopicHandle,
    partition: u32,
    key: &'a [u8],
    value: &'a [u8],
    headers: &'a [Header],
) -> Outgoing<'a> {
    Outgoing::new(topic).partition(PartitionIndex(partition)).key(key).value(value).headers(headers)
}

/// A load that goes on until it is told to stop.
pub(super) struct Load {
    producers: Vec<KeyedProducer>,
    gauges: Arc<Gauges>,
    how: How,
}

impl Load {
    /// Makes the producers: one for each client.
    pub(super) async fn open(
        clients: Vec<Client>,
        topic: &str,
        run_id: &str,
        how: How,
        gauges: &Arc<Gauges>,
    ) -> Result<Self> {
        let mut producers = Vec::new();
        for (number, client) in clients.into_iter().enumerate() {
            let prefix = format!("{}{number}/", key_prefix(run_id));
            producers.push(KeyedProducer::open(client, topic, &prefix, how, gauges).await?);
        }
        Ok(Self { producers, gauges: Arc::clone(gauges), how })
    }

    /// Sends until it is told to stop. Blocks the thread; the answers come on the runtime.
    pub(super) fn send(&mut self, rate: u32, size: u32, mut sender: Sender) -> Result {
        let values = Values::new(size);
        let pace = Pace::new(Instant::now(), f64::from(rate));
        let producer_count = self.producers.len() as u64;
        for index in 0.. {
            let producer = &mut self.producers[(index % producer_count) as usize];
            let partition = ((index / producer_count) % producer.keys.len() as u64) as u32;
            let due = pace.wait(index);
            if !producer.send(partition, values.get(index), due, &self.gauges, &mut sender)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the outcome of every record, ends every key with its end marker, and sums the ledgers up.
    pub(super) async fn close(self) -> Summary {
        let timeout = self.how.delivery_timeout;
        let closed = join_all(self.producers.into_iter().map(|producer| producer.close(&self.gauges, timeout))).await;
        let unaccepted: u64 = closed.iter().map(|(_, unaccepted)| unaccepted).sum();
        let mut summary = Summary::close(closed.into_iter().flat_map(|(ledgers, _)| ledgers).collect());
        summary.refused += unaccepted;
        summary
    }
}
