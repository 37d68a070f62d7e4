//! How others reach a partition's actor, without naming actix.
//!
//! The mailbox is bounded by places of its own: each message holds one from before it is sent until it was handled.
//! Actix' own bound is not asked: it counts the clones of an address, each of which may always send one message more, and
//! is another one until the actor has started.

use std::sync::Arc;

use actix::Recipient;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::partition::message::Message;

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
        match Arc::clone(&self.0.places).acquire_owned().await {
            Ok(place) => self.put(message, place),
            Err(_never_closed) => Some(Closed(message)),
        }
    }

    /// Sends a message, or gives it back if the mailbox is full. A closed one takes and forgets it.
    pub fn try_send(&self, message: Message) -> Result<(), Message> {
        match Arc::clone(&self.0.places).try_acquire_owned() {
            Ok(place) => {
                let _closed = self.put(message, place);
                Ok(())
            }
            Err(_full) => Err(message),
        }
    }

    fn put(&self, message: Message, place: OwnedSemaphorePermit) -> Option<Closed> {
        if !self.0.recipient.connected() {
            return Some(Closed(message));
        }
        // An actor that ends just now drops it: a producer is then told that the outcome is unknown.
        self.0.recipient.do_send(Envelope { message, _place: place });
        None
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

    #[test]
    fn a_mailbox_holds_as_many_messages_as_it_has_places_also_before_its_actor_runs() {
        const PLACES: usize = 100;
        let _system = System::new();
        let arbiter = Arbiter::new();
        let (go_on, waiting) = mpsc::channel::<()>();
        arbiter.spawn_fn(move || waiting.recv().unwrap());
        let (handled, handling) = mpsc::channel();
        let actor = Counting::start_in_arbiter(&arbiter.handle(), move |_| Counting(handled));
        let address = PartitionAddress::new(actor.recipient(), PLACES);
        for sent in 0..PLACES {
            assert!(address.clone().try_send(Message::LeaseEnded).is_ok(), "{sent}");
        }
        assert!(address.clone().try_send(Message::LeaseEnded).is_err(), "it is full, whoever sends");
        go_on.send(()).unwrap();
        for _ in 0..PLACES {
            handling.recv_timeout(holdfast_eventually::PATIENCE).unwrap();
        }
        arbiter.stop();
    }
}
