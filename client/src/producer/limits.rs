//! How large a record may be, and whose limit it is that one breaks.
//!
//! The producer has a limit of its own, and memory for so much. The topic has another, `max.message.bytes` of the whole
//! batch: it is asked for with the topic's handle, and again before a record is refused because of it, since it may have
//! been raised. What is not known is left to the leader.

use std::time::Duration;

use tracing::debug;

use holdfast_proto::batch::{BatchBuilder, BatchHeader, Compression};

use super::{Error, Record, SizeLimit};
use crate::Client;

/// How long a broker may take to tell a topic's limit before the record goes without.
const PATIENCE: Duration = Duration::from_secs(2);

/// The limits of one producer on every record, whatever its topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordLimits {
    pub(super) max_record_bytes: usize,
    pub(super) buffer_memory_bytes: usize,
    pub(super) compression: Compression,
}

impl RecordLimits {
    /// Bytes to be reserved for the record.
    #[inline]
    pub(super) fn size(&self, record: &Record<'_>) -> Result<usize, Error> {
        let size = record.size_bound();
        if size > self.max_record_bytes {
            return Err(too_large(size, self.max_record_bytes, SizeLimit::MaxRecordBytes));
        }
        if size > self.buffer_memory_bytes {
            return Err(too_large(size, self.buffer_memory_bytes, SizeLimit::BufferMemory));
        }
        Ok(size)
    }

    /// True if the record may be larger than its topic takes, as far as known: see [`Self::check_with_topic`].
    #[inline]
    pub(super) fn may_be_too_large(&self, record: &Record<'_>, size: usize) -> bool {
        // Compressed it may be smaller: the leader decides.
        self.compression == Compression::None && BatchHeader::SIZE + size > record.topic.queues.max_message_bytes()
    }

    /// Refuses a record that alone in a batch is larger than its topic takes now.
    pub(super) async fn check_with_topic(&self, record: &Record<'_>, client: &Client) -> Result<(), Error> {
        let queues = &record.topic.queues;
        let batch = BatchBuilder::new(Compression::None);
        let size = batch.size_bytes() + batch.added_size(&record.as_ref(record.timestamp.unwrap_or_default()));
        if size <= queues.max_message_bytes() {
            return Ok(());
        }
        queues.set_max_message_bytes(of_topic(client, &queues.name).await);
        let max = queues.max_message_bytes();
        if size > max { Err(too_large(size, max, SizeLimit::Topic(queues.name.to_string()))) } else { Ok(()) }
    }
}

const fn too_large(size: usize, max: usize, limit: SizeLimit) -> Error {
    Error::RecordTooLarge { size, max, limit }
}

/// The topic's `max.message.bytes`, if a broker tells it soon.
pub(super) async fn of_topic(client: &Client, name: &str) -> Option<usize> {
    let admin = client.admin();
    match tokio::time::timeout(PATIENCE, admin.topic_config(name)).await {
        Ok(Ok(configs)) => {
            let entry = configs.into_iter().find(|entry| entry.key == "max.message.bytes")?;
            entry.value?.parse().ok()
        }
        Ok(Err(error)) => {
            debug!(topic = name, %error, "the limit of the topic is not known");
            None
        }
        Err(_) => {
            debug!(topic = name, "no broker told the limit of the topic in time");
            None
        }
    }
}
