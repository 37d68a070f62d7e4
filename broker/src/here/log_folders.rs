//! Work on the folders of logs: they are opened, closed and deleted on blocking threads, a few at the same time.
//!
//! A topic of a thousand partitions is a thousand of them at once. On a thread each they wait for each other in the folder
//! that holds all, and the threads that serve connections wait for a processor behind them: for seconds nobody is answered.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::Semaphore, task::JoinError};

/// How many at the same time: enough for a disk to sync them together.
const PLACES: usize = 8;

/// The threads for that. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogFolders {
    places: Arc<Semaphore>,
    runtime: Handle,
}

impl LogFolders {
    /// On blocking threads of this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), runtime }
    }

    /// Does the work once there is a place, in the order in which it is asked for. The error is that of a work that panicked,
    /// or of a runtime that ends.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("places that nobody closes");
        // The place goes with the work: who waits for it may go away.
        let working = self.runtime.spawn_blocking(move || {
            let _place = place;
            work()
        });
        working.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_thousand_are_done_a_few_at_a_time() {
        let folders = LogFolders::new(Handle::current());
        let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let work = |_| {
            let (folders, now, most) = (folders.clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                folders.run(work).await.unwrap();
            })
        };
        for done in futures::future::join_all((0..1_000).map(work)).await {
            done.unwrap();
        }
        assert!((1..=PLACES).contains(&most.load(Ordering::SeqCst)));
    }
}
