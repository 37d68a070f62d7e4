//! What a queue gives out: the next batch to build and send, and what an append did.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use holdfast_proto::batch::{self, BatchBuilder, ProducerStamp};

use super::rules::ProducerIdentity;
use crate::producer::completion::BatchCompletion;

/// What to send next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A batch that counts as sent from now on.
    Send(Job),
    /// Ask again then, if nothing happens before.
    WaitUntil(Instant),
    /// Nothing until something happens.
    Idle,
    /// Nothing until the producer has another epoch than this.
    NeedIdentity(ProducerIdentity),
}

/// A batch to be built and sent.
#[derive(Debug)]
pub(crate) struct Job {
    /// The flight, for [`super::BatchQueue::built`].
    pub(crate) flight: u64,
    pub(crate) stamp: Option<ProducerStamp>,
    pub(crate) payload: JobPayload,
}

impl Job {
    /// The batch as it is sent.
    pub(crate) fn build(self) -> Result<Bytes, batch::Error> {
        match self.payload {
            JobPayload::Build(builder) => builder.build(self.stamp),
            JobPayload::Restamp(bytes) => batch::restamp(bytes, self.stamp),
            JobPayload::Ready(bytes) => Ok(bytes),
        }
    }
}

/// In which state the batch is.
#[derive(Debug)]
pub(crate) enum JobPayload {
    /// It has to be built.
    Build(BatchBuilder),
    /// It is built, but under another stamp.
    Restamp(Bytes),
    /// It is built as it has to be.
    Ready(Bytes),
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) completion: Arc<BatchCompletion>,
    pub(crate) index: u32,
    /// True if it opened a batch, so that somebody must look after the queue.
    pub(crate) opened: bool,
    /// True if that batch is sent at once, so that keyless records had better go to another partition.
    pub(crate) lone: bool,
}
