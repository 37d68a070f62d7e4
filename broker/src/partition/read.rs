//! Batches by offset: from the tail cache, else from disk on a blocking thread. Never on a partition's thread.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use holdfast_log::{Error, LogReader};
use holdfast_proto::{
    error::ErrorCode,
    ids::{Offset, TopicPartition},
};

/// Reads from disk, a bounded number at the same time.
#[derive(Clone, Debug)]
pub struct DiskReads {
    permits: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
}

impl DiskReads {
    /// At most `threads` at the same time.
    pub fn new(threads: usize, runtime: tokio::runtime::Handle) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads)), runtime }
    }

    /// Whole batches from the one that holds `from` on, none that reaches past `up_to`. The permit bounds the memory:
    /// hold it as long as the bytes.
    pub async fn read(
        &self,
        partition: TopicPartition,
        reader: LogReader,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
    ) -> Result<(Bytes, OwnedSemaphorePermit), ErrorCode> {
        let work = move || {
            reader.read(from, max_bytes, up_to).map_err(|error| {
                let code = read_error(&error);
                if code != ErrorCode::OffsetOutOfRange {
                    tracing::error!(%partition, %from, %error, "a log cannot be read");
                }
                code
            })
        };
        self.run(work).await
    }

    /// Runs any read on a blocking thread under a permit.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), ErrorCode> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ErrorCode::ShuttingDown)?;
        let done = self.runtime.spawn_blocking(work).await.map_err(|_| ErrorCode::UnknownServerError)?;
        Ok((done?, permit))
    }

    /// The runtime whose blocking threads read.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }
}

/// What a reader is told of a storage error.
pub fn read_error(error: &Error) -> ErrorCode {
    match error {
        Error::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        Error::Damaged { .. } | Error::BadBatch(_) => ErrorCode::LogDamaged,
        Error::Closed => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    }
}

/// The pieces as one: without a copy if there is only one.
pub fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        joined.extend_from_slice(piece);
    }
    joined.freeze()
}
