//! How others reach a partition's actor, without naming actix.
//!
//! The mailbox is bounded by places of its own: each message holds one from before it is sent until it was handled.
//! Actix' bound counts the clones of an address, each of which may always send one message more.

use std::sync::Arc;

use actix::{Recipient, prelude::SendError};
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
        match self.0.recipient.try_send(Envelope { message, _place: place }) {
            Ok(()) => None,
            Err(SendError::Closed(envelope)) => Some(Closed(envelope.message)),
            Err(SendError::Full(_)) => unreachable!("the mailbox holds as many messages as there are places"),
        }
    }
}

impl std::fmt::Debug for PartitionAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartitionAddress")
    }
}
