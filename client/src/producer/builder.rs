//! How a producer is made.

use std::{sync::Arc, time::Duration};

use holdfast_net::jitter::jittered;
use holdfast_proto::batch::Compression;

use super::{
    Acks, Error, Producer,
    batch_bytes::{BATCH_BYTES_MAX, BATCH_BYTES_MIN},
    batch_queue::{ProducerIdentity, Rules},
    identity::CurrentIdentity,
    limits::RecordLimits,
    memory::Memory,
    renewal, router,
    shared::Shared,
};
use crate::{
    Client,
    deadline::{Deadline, bounded},
    error::Error as ClientError,
};

/// Most batches in flight per partition that leaders detect duplicates for.
const MAX_IN_FLIGHT: usize = 5;

/// Most bytes that a request adds to its batch.
const ENVELOPE_BYTES: usize = 1 << 10;

/// Settings of a producer. Times of more than a year, as `Duration::MAX`, mean a year: no limit.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProducerBuilder {
    client: Client,
    acks: Acks,
    idempotent: bool,
    max_in_flight: usize,
    batch_size_bytes: usize,
    linger: Duration,
    compression: Compression,
    buffer_memory_bytes: usize,
    max_record_bytes: Option<usize>,
    max_block: Duration,
    request_timeout: Duration,
    delivery_timeout: Duration,
}

impl Producer {
    /// Settings of a new producer.
    pub const fn builder(client: Client) -> ProducerBuilder {
        ProducerBuilder::new(client)
    }
}

impl ProducerBuilder {
    pub(crate) const fn new(client: Client) -> Self {
        Self {
            client,
            acks: Acks::All,
            idempotent: true,
            max_in_flight: MAX_IN_FLIGHT,
            batch_size_bytes: 64 << 10,
            linger: Duration::from_millis(5),
            compression: Compression::None,
            buffer_memory_bytes: 32 << 20,
            max_record_bytes: None,
            max_block: Duration::from_mins(1),
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_mins(2),
        }
    }

    /// When a batch counts as delivered. Default: all.
    pub const fn acks(mut self, acks: Acks) -> Self {
        self.acks = acks;
        self
    }

    /// Whether retries make no duplicates and keep the order. Default: true. Without it, and with acks=none, a retry
    /// may duplicate, and only one batch per partition is in flight.
    pub const fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Batches in flight per partition, 1 to 5. Default: 5.
    pub const fn max_in_flight(mut self, max: usize) -> Self {
        self.max_in_flight = max;
        self
    }

    /// Size at which a batch is closed, bytes before compression, 1 KiB to 16 MiB. Default: 64 KiB. Too small: much
    /// work per record. Too large: latency, and memory for partitions with little traffic.
    pub const fn batch_size_bytes(mut self, bytes: usize) -> Self {
        self.batch_size_bytes = bytes;
        self
    }

    /// Longest time that a record waits for others. Default: 5 ms. It waits only while earlier batches of its partition
    /// are in flight: the fewer are, the shorter, and with none not at all.
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = bounded(linger);
        self
    }

    /// Compression of batches. Default: none.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Memory for records that are not complete, bytes. Default: 32 MiB. When it is full, callers wait.
    pub const fn buffer_memory_bytes(mut self, bytes: usize) -> Self {
        self.buffer_memory_bytes = bytes;
        self
    }

    /// Largest record, bytes with what the format adds, beside what its topic's `max.message.bytes` allows. Default: as
    /// much as any topic can allow, 16 MiB, as far as the client's `max_message_bytes` and the buffer hold it.
    pub const fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.max_record_bytes = Some(bytes);
        self
    }

    /// Longest wait for memory, and for the metadata of a topic. Default: 60 s.
    pub const fn max_block(mut self, max_block: Duration) -> Self {
        self.max_block = bounded(max_block);
        self
    }

    /// Longest wait for the answer to one attempt. Default: 30 s. Too short: slow replicas look like dead ones.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = bounded(timeout);
        self
    }

    /// Longest time from acceptance to the end, retries included. Default: 120 s. It should outlast a fail-over. The
    /// answer to an attempt that is out at that moment is waited for up to 1 s more.
    pub const fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = bounded(timeout);
        self
    }

    /// The producer. An idempotent one gets its producer id here, within `max_block`.
    pub async fn build(self) -> Result<Producer, Error> {
        self.validate()?;
        let idempotent = self.idempotent && self.acks != Acks::None;
        let identity: Option<ProducerIdentity> = if idempotent {
            Some(renewal::init_until(&self.client, Deadline::after(self.max_block)).await?)
        } else {
            None
        };
        let config = self.client.config();
        let rules = Rules {
            batch_size_bytes: self.batch_size_bytes,
            linger: self.linger,
            max_in_flight: if idempotent || self.acks == Acks::None { self.max_in_flight } else { 1 },
            delivery_timeout: self.delivery_timeout,
            retry_backoff: config.retry_backoff,
            retry_backoff_max: config.retry_backoff_max,
            compression: self.compression,
            answered: self.acks != Acks::None,
            jitter: jittered,
        };
        let memory = Memory::new(self.buffer_memory_bytes);
        let largest = BATCH_BYTES_MAX.min(config.max_message_bytes - ENVELOPE_BYTES);
        let limits = RecordLimits {
            max_record_bytes: self.max_record_bytes.unwrap_or(largest),
            buffer_memory_bytes: self.buffer_memory_bytes,
            compression: self.compression,
        };
        let identity = CurrentIdentity::new(identity);
        let shared = Shared::new(self.client, rules, self.acks, self.request_timeout, memory, identity);
        let shared = Arc::new(shared);
        router::start(&shared);
        Ok(Producer::new(shared, self.max_block, limits))
    }

    fn validate(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if !(1..=MAX_IN_FLIGHT).contains(&self.max_in_flight) {
            problems.push(format!("max_in_flight is {}, allowed are 1 to {MAX_IN_FLIGHT}", self.max_in_flight));
        }
        if !(BATCH_BYTES_MIN..=BATCH_BYTES_MAX).contains(&self.batch_size_bytes) {
            problems.push(format!("batch_size_bytes is {}, allowed are 1 KiB to 16 MiB", self.batch_size_bytes));
        }
        if self.buffer_memory_bytes < self.batch_size_bytes {
            problems.push("buffer_memory_bytes must be at least batch_size_bytes".to_owned());
        }
        if self.request_timeout.is_zero() || self.delivery_timeout < self.request_timeout.min(self.linger) {
            problems.push("request_timeout and delivery_timeout must be above 0".to_owned());
        }
        if self.delivery_timeout < self.linger + Duration::from_millis(1) {
            problems.push("delivery_timeout must be longer than linger".to_owned());
        }
        let limit = self.client.config().max_message_bytes;
        if self.max_record_bytes.unwrap_or(0).max(self.batch_size_bytes).saturating_add(ENVELOPE_BYTES) > limit {
            problems.push(format!("batches and records must be smaller than max_message_bytes of the client, {limit}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(ClientError::InvalidConfig(problems.join("; ")).into()) }
    }
}
