//! How others reach a partition's actor, without naming actix.
//!
//! The mailbox is bounded by places of its own: each message holds one from before it is sent until it was handled.
//! Senders wait for them in order. Actix' own bound only refuses, and is switched off; before the actor has started it is
//! 16 all the same.

use std::sync::Arc;

use actix::{Recipient, prelude::SendError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Duration,
};

use crate::partition::message::Message;

/// Pause of a sender whose actor has not started: its thread has others to run.
const UNTIL_STARTED: Duration = Duration::from_millis(1);

/// A message in the mailbox, and its place there.
pub(super) struct Envelope {
    pub(super) message: Message,
    _place: OwnedSemaphorePermit,
}

impl actix::Message for Envelope {
    type Result = ();
}

/// The address of a partition's actor. Cheap to clone.
#[derive(Clone)]
pub struct PartitionAddress(Arc<Mailbox>);

struct Mailbox {
    recipient: Recipient<Envelope>,
    places: Arc<Semaphore>,
}

/// The actor is gone: the replica was closed. Gives the message back.
#[derive(Debug)]
pub struct Closed(pub Message);

impl PartitionAddress {
    /// An actor's address, with room for so many messages.
    pub(super) fn new(recipient: Recipient<Envelope>, places: usize) -> Self {
        Self(Arc::new(Mailbox { recipient, places: Arc::new(Semaphore::new(places)) }))
    }

    /// Sends a message, and waits for place if the mailbox is full.
    pub async fn send(&self, message: Message) -> Option<Closed> {
        let Ok(place) = Arc::clone(&self.0.places).acquire_owned().await else { return Some(Closed(message)) };
        let mut envelope = Envelope { message, _place: place };
        loop {
            match self.0.recipient.try_send(envelope) {
                Ok(()) => return None,
                Err(SendError::Closed(envelope)) => return Some(Closed(envelope.message)),
                // The actor has not started yet.
                Err(SendError::Full(back)) => envelope = back,
            }
            tokio::time::sleep(UNTIL_STARTED).await;
        }
    }

    /// Sends a message, or gives it back if the mailbox is full. A closed one takes and forgets it.
    pub fn try_send(&self, message: Message) -> Result<(), Message> {
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else { return Err(message) };
        match self.0.recipient.try_send(Envelope { message, _place: place }) {
            Err(SendError::Full(envelope)) => Err(envelope.message),
            Ok(()) | Err(SendError::Closed(_)) => Ok(()),
        }
    }
}

impl std::fmt::Debug for PartitionAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartitionAddress")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::{Actor, Arbiter, Context, Handler, System};

    use super::*;

    /// Tells of each message that it handled.
    struct Counting(mpsc::Sender<()>);

    impl Actor for Counting {
        type Context = Context<Self>;
    }

    impl Handler<Envelope> for Counting {
        type Result = ();

        fn handle(&mut self, envelope: Envelope, _: &mut Self::Context) {
            drop(envelope);
            self.0.send(()).unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_mailbox_holds_as_many_messages_as_it_has_places() {
        const SENT: usize = 100;
        const PLACES: usize = 10;
        let (go_on, waiting) = mpsc::channel::<()>();
        let (handled, handling) = mpsc::channel();
        let (told, address) = mpsc::channel();
        let running = std::thread::spawn(move || {
            let _system = System::new();
            let arbiter = Arbiter::new();
            arbiter.spawn_fn(move || waiting.recv().unwrap());
            let actor = Counting::start_in_arbiter(&arbiter.handle(), move |_| Counting(handled));
            told.send(actor.recipient()).unwrap();
            arbiter
        });
        let recipient = address.recv_timeout(holdfast_eventually::PATIENCE).unwrap();
        let address = PartitionAddress::new(recipient, PLACES);
        for sent in 0..PLACES {
            assert!(address.clone().try_send(Message::LeaseEnded).is_ok(), "{sent}");
        }
        assert!(address.clone().try_send(Message::LeaseEnded).is_err(), "it is full");
        // More than actix takes before its actor runs.
        let address = PartitionAddress::new(address.0.recipient.clone(), SENT);
        let sending = tokio::spawn(async move {
            for _ in PLACES..SENT {
                assert!(address.clone().send(Message::LeaseEnded).await.is_none());
            }
        });
        go_on.send(()).unwrap();
        sending.await.unwrap();
        for _ in 0..SENT {
            handling.recv_timeout(holdfast_eventually::PATIENCE).unwrap();
        }
        running.join().unwrap().stop();
    }
}
