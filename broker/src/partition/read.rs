//! Batches by offset: from the tail cache, else from disk on a blocking thread. Never on a partition's thread.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinHandle},
    time::{Duration, timeout},
};

use holdfast_proto::{error::ErrorCode, ids::Offset};

use super::{
    answer_memory::{AnswerMemory, AnswerRoom, Wanted},
    findings::Reporter,
};

/// What one kind of reader may take up: consumers cannot keep followers from catching up, nor the other way round.
#[derive(Clone, Debug)]
pub struct ReadShare {
    /// Its reads from disk.
    pub disk: BlockingReads,
    /// Its memory for answers.
    pub memory: AnswerMemory,
}

/// How long work waits for a place: a disk that takes longer answers nobody in time.
const PATIENCE: Duration = Duration::from_secs(10);

impl ReadShare {
    /// Room for an answer and a place at the disk. Who waits for one of them holds nothing of the other. OVERLOADED if both
    /// are not there for long.
    pub async fn room_and_place(&self, wanted: Wanted<'_>) -> Result<(AnswerRoom, Place), ErrorCode> {
        let both = async {
            loop {
                let place = self.disk.place().await?;
                if let Some(room) = self.memory.try_get(wanted) {
                    return Ok((room, place));
                }
                drop(place);
                let room = self.memory.get(wanted).await?;
                if let Some(place) = self.disk.try_place() {
                    return Ok((room, place));
                }
            }
        };
        timeout(PATIENCE, both).await.unwrap_or(Err(ErrorCode::Overloaded))
    }
}

/// Reads from disk and other work on blocking threads, a bounded number at the same time. What is read is bounded apart, by
/// the memory for answers; who waits for a place holds none of that.
#[derive(Clone, Debug)]
pub struct BlockingReads {
    places: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
}

/// A place for work that is about to run.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A read that needs the disk.
#[derive(Debug)]
pub struct DiskRead {
    log: Reporter,
    is_spare: bool,
    from: Offset,
    up_to: Offset,
    max_bytes: usize,
}

impl BlockingReads {
    /// At most `threads` at the same time.
    pub fn new(threads: usize, runtime: tokio::runtime::Handle) -> Self {
        Self { places: Arc::new(Semaphore::new(threads)), runtime }
    }

    /// A place. OVERLOADED if there is none for long.
    pub async fn place(&self) -> Result<Place, ErrorCode> {
        match timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            Ok(Err(_closed)) => Err(ErrorCode::ShuttingDown),
            Err(_late) => Err(ErrorCode::Overloaded),
        }
    }

    /// A place, if there is one at once.
    pub fn try_place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// Reads whole batches in a place, and gives the place back.
    pub async fn read(&self, place: Place, read: DiskRead) -> (Result<Bytes, ErrorCode>, Option<Place>) {
        self.run_in(place, move || read.run()).await
    }

    /// Runs any work on a blocking thread, once there is a place. OVERLOADED if there is none for long.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let place = self.place().await?;
        self.run_in(place, work).await.0
    }

    /// Runs work that is not given up, as on the folder of a log, once its turn has come. The error is that of a work that
    /// panicked, or of a runtime that ends.
    pub async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let permit = Arc::clone(&self.places).acquire_owned().await.expect("places that nobody closes");
        self.spawn(Place { _permit: permit }, work).await.map(|(done, _place)| done)
    }

    async fn run_in<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> (Result<T, ErrorCode>, Option<Place>) {
        match self.spawn(place, work).await {
            Ok((done, place)) => (done, Some(place)),
            Err(_ended) => (Err(ErrorCode::UnknownServerError), None),
        }
    }

    /// The place goes with the work, not with who waits: it may go away, and the thread works on.
    fn spawn<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<(T, Place)> {
        self.runtime.spawn_blocking(move || (work(), place))
    }
}

impl DiskRead {
    /// Of whole batches, from this log of a replica, which `is_spare` if another is in sync: from the one that holds `from`
    /// on, none that reaches past `up_to`.
    pub fn new(log: Reporter, is_spare: bool, from: Offset, up_to: Offset, max_bytes: usize) -> Self {
        Self { log, is_spare, from, up_to, max_bytes }
    }

    fn run(self) -> Result<Bytes, ErrorCode> {
        let Self { log: Reporter { log: reader, .. }, is_spare, from, up_to, max_bytes } = &self;
        let read = reader.read(*from, *max_bytes, *up_to);
        if read.is_ok() {
            self.log.failing.succeeded(*from, from.plus(1));
        }
        read.map_err(|error| self.log.read_failed_at(*from, &error, *is_spare))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_thousand_are_done_a_few_at_a_time() {
        const THREADS: usize = 8;
        let few = BlockingReads::new(THREADS, tokio::runtime::Handle::current());
        let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let work = |_| {
            let (few, now, most) = (few.clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                few.in_turn(work).await.unwrap();
            })
        };
        for done in futures::future::join_all((0..1_000).map(work)).await {
            done.unwrap();
        }
        assert!((1..=THREADS).contains(&most.load(Ordering::SeqCst)));
    }
}
