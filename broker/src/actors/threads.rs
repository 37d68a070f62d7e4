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

use super::{
    address::{PartitionAddress, SessionAddress},
    partition::{Opened, PartitionActor},
    session::SessionActor,
};
use crate::{context::Context, partition::Replica};

/// The running threads of all actors of one broker.
pub struct Actors {
    system: System,
    system_thread: Option<JoinHandle<()>>,
    session: ArbiterHandle,
    partitions: Vec<ArbiterHandle>,
    next: AtomicUsize,
}

impl Actors {
    /// Starts the threads: one for the session, `partition_threads` for partitions.
    pub fn start(partition_threads: usize) -> io::Result<Self> {
        let (started, ready) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("hf-system".to_owned()).spawn(move || {
            let runner = System::new();
            let session = Arbiter::new().handle();
            let partitions: Vec<_> = (0..partition_threads.max(1)).map(|_| Arbiter::new().handle()).collect();
            if started.send((System::current(), session, partitions)).is_ok() {
                if let Err(error) = runner.run() {
                    tracing::error!(%error, "the actors' system ended with an error");
                }
            }
        })?;
        let (system, session, partitions) =
            ready.recv().map_err(|_| io::Error::other("the actors' threads did not start"))?;
        Ok(Self { system, system_thread: Some(thread), session, partitions, next: AtomicUsize::new(0) })
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
    /// Ends all threads, whatever their actors are doing. Close partitions before.
    pub fn stop(&self) {
        self.system.stop();
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.stop();
        // An actor may hold the last reference: a thread cannot wait for itself.
        let own = std::thread::current().id();
        if let Some(thread) = self.system_thread.take().filter(|thread| thread.thread().id() != own) {
            drop(thread);
        }
    }
}
