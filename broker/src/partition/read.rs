//! Batches by offset: from the tail cache, else from disk on a blocking thread. Never on a partition's thread.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

use holdfast_log::{Error, LogReader};
use holdfast_proto::{
    error::ErrorCode,
    ids::{Offset, TopicPartition},
};

use super::answer_memory::AnswerMemory;

/// What one kind of reader may take up: consumers cannot keep followers from catching up, nor the other way round.
#[derive(Clone, Debug)]
pub struct ReadShare {
    /// Its reads from disk.
    pub disk: BlockingReads,
    /// Its memory for answers.
    pub memory: AnswerMemory,
}

/// Reads from disk and other work on blocking threads, a bounded number at the same time. What is read is bounded apart, by
/// the memory for answers: a place is held by nothing but work that runs.
#[derive(Clone, Debug)]
pub struct BlockingReads {
    places: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
}

impl BlockingReads {
    /// At most `threads` at the same time.
    pub fn new(threads: usize, runtime: tokio::runtime::Handle) -> Self {
        Self { places: Arc::new(Semaphore::new(threads)), runtime }
    }

    /// Whole batches from the one that holds `from` on, none that reaches past `up_to`.
    pub async fn read(
        &self,
        partition: TopicPartition,
        reader: LogReader,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
    ) -> Result<Bytes, ErrorCode> {
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

    /// Runs any work on a blocking thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ErrorCode::ShuttingDown)?;
        let held = move || {
            // Not by who waits: it may go away, and the thread reads on.
            let _place = place;
            work()
        };
        self.runtime.spawn_blocking(held).await.map_err(|_| ErrorCode::UnknownServerError)?
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

/// Bytes of all pieces.
pub fn size(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// The pieces as one: without a copy if there is only one.
pub fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(size(&pieces));
    for piece in &pieces {
        joined.extend_from_slice(piece);
    }
    joined.freeze()
}
