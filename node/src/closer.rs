//! Ends a connection from elsewhere, as when its client takes nothing of what it asked for and others wait for the memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use futures::task::AtomicWaker;

/// Ends one connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Closer(Arc<Closing>);

#[derive(Debug, Default)]
struct Closing {
    is_closed: AtomicBool,
    reader: AtomicWaker,
}

impl Closer {
    /// Where it is in memory: no other connection's is there as long as a clone of it lives.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Ends the connection: what runs on it breaks, and what waits to be sent is dropped.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.reader.wake();
    }

    /// True once it has to end; else its reader is woken when it has.
    pub(crate) fn is_closed(&self, context: &Context<'_>) -> bool {
        // Noted before the look, so that no close falls between the two.
        self.0.reader.register(context.waker());
        self.0.is_closed.load(Ordering::Acquire)
    }
}
