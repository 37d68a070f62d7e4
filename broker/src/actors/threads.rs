//! The threads that actors live on: one for the session, a few for the partitions.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use actix::{Actor, Arbiter, ArbiterHandle, System};
use parking_lot::Mutex;

use holdfast_node::watchdog::Watchdog;

use super::{
    address::{PartitionAddress, SessionAddress},
    partition::{Opened, PartitionActor},
    session::SessionActor,
};
use crate::{context::Context, partition::Replica};

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

    /// Starts the actor of a replica that was opened. Replicas are spread over the threads in turn.
    pub fn start_partition(&self, context: &Arc<Context>, opened: Opened) -> Replica {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let arbiter = &self.partitions[turn % self.partitions.len()];
        let capacity = context.config.partition_mailbox as usize;
        let (context, partition) = (Arc::clone(context), Arc::clone(&opened.partition));
        let address = PartitionActor::start_in_arbiter(arbiter, move |actor_context| {
            actor_context.set_mailbox_capacity(capacity);
            PartitionActor::new(context, opened)
        });
        Replica::new(partition, PartitionAddress(address))
    }

    /// Starts the actor of the session.
    pub fn start_session(self: &Arc<Self>, context: &Arc<Context>) -> SessionAddress {
        let (context, actors) = (Arc::clone(context), Arc::clone(self));
        SessionAddress(SessionActor::start_in_arbiter(&self.session, move |_| SessionActor::new(context, actors)))
    }
}

impl Actors {
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
