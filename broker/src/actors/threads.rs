//! The threads that actors live on: one for the session, a few for the partitions.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread::JoinHandle,
};

use actix::{Arbiter, ArbiterHandle, System};
use parking_lot::Mutex;

use holdfast_node::watchdog::Watchdog;

/// The running threads of all actors of one broker.
pub struct Actors {
    session: ArbiterHandle,
    partitions: Vec<ArbiterHandle>,
    next: AtomicUsize,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    system: System,
    main: JoinHandle<()>,
    arbiters: Vec<Arbiter>,
}

impl Actors {
    /// Starts the threads: one for the session, `partition_threads` for partitions. All of them are watched.
    pub fn start(partition_threads: usize, watchdog: &Watchdog) -> io::Result<Self> {
        let (started, ready) = std::sync::mpsc::sync_channel(1);
        let main = std::thread::Builder::new().name("hf-actors".to_owned()).spawn(move || {
            let runner = System::new();
            let arbiters: Vec<_> = (0..=partition_threads.max(1)).map(|_| Arbiter::new()).collect();
            if started.send((System::current(), arbiters)).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the actors' system ended with an error");
            }
        })?;
        let (system, arbiters): (System, Vec<Arbiter>) =
            ready.recv().map_err(|_| io::Error::other("the actors' threads did not start"))?;
        for (index, arbiter) in arbiters.iter().enumerate() {
            let name = if index == 0 {
                "the session's thread".to_owned()
            } else {
                format!("thread {index} of the partitions")
            };
            // A thread that is gone stands still, which the watchdog then says.
            arbiter.spawn(watchdog.watch(name).keep());
        }
        let mut handles = arbiters.iter().map(Arbiter::handle);
        let session = handles.next().ok_or_else(|| io::Error::other("no thread for the session"))?;
        let partitions = handles.collect();
        let threads = Mutex::new(Some(Threads { system, main, arbiters }));
        Ok(Self { session, partitions, next: AtomicUsize::new(0), threads })
    }

    /// The thread for the next partition: they take turns.
    pub(super) fn next_partition_thread(&self) -> &ArbiterHandle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.partitions[turn % self.partitions.len()]
    }

    /// The thread of the session.
    pub(super) fn session_thread(&self) -> &ArbiterHandle {
        &self.session
    }

    /// Ends all threads, whatever their actors are doing, and waits for them. Close partitions before. Blocks: not to be
    /// called on one of the threads.
    pub fn stop(&self) {
        let Some(Threads { system, main, arbiters }) = self.threads.lock().take() else { return };
        for arbiter in &arbiters {
            arbiter.stop();
        }
        for arbiter in arbiters {
            if arbiter.join().is_err() {
                tracing::error!("a thread of the actors ended with a panic");
            }
        }
        system.stop();
        if main.join().is_err() {
            tracing::error!("the thread of the actors' system ended with a panic");
        }
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        // Only told to end: this may be one of the threads.
        if let Some(Threads { system, arbiters, .. }) = self.threads.get_mut().take() {
            for arbiter in &arbiters {
                arbiter.stop();
            }
            system.stop();
        }
    }
}
