//! How others reach a partition's actor, without naming actix.

use actix::{Recipient, prelude::SendError};

use crate::partition::message::Message;

impl actix::Message for Message {
    type Result = ();
}

/// The address of a partition's actor.
#[derive(Clone)]
pub struct PartitionAddress(pub(super) Recipient<Message>);

/// The actor is gone: the replica was closed. Gives the message back where it is still there.
#[derive(Debug)]
pub struct Closed(pub Option<Message>);

impl PartitionAddress {
    /// Sends a message, and waits for place if the mailbox is full.
    pub async fn send(&self, message: Message) -> Option<Closed> {
        match self.0.try_send(message) {
            Ok(()) => None,
            Err(SendError::Closed(message)) => Some(Closed(Some(message))),
            Err(SendError::Full(message)) => self.0.send(message).await.err().map(|_| Closed(None)),
        }
    }

    /// Sends a message, or gives it back if the mailbox is full. A closed one takes and forgets it.
    pub fn try_send(&self, message: Message) -> Result<(), Message> {
        match self.0.try_send(message) {
            Err(SendError::Full(message)) => Err(message),
            Ok(()) | Err(SendError::Closed(_)) => Ok(()),
        }
    }
}

impl std::fmt::Debug for PartitionAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartitionAddress")
    }
}
