//! What a partition cannot do now, for handles or memory are wanting: kept, in order, until it can.
//!
//! Place: part of a round. A segment that is full cannot be closed without opening files; what is to be appended stays where
//! it is, in memory that is counted, so that producers are refused by name once too much waits. Nothing is said against the
//! log, nor against the disk.

use std::time::{Duration, Instant};

use holdfast_proto::ids::TopicPartition;

use super::Op;
use crate::Error;

/// First and longest pause before it is tried again. Each partition has its own; what is wanting is one for all.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The operations that wait. See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    ops: Vec<Op>,
    /// When they are tried again; `None` while nothing is wanting.
    again: Option<Instant>,
    pause: Duration,
}

impl Waiting {
    /// Puts what waits before these operations and lets them be done; or, if it is too early for another attempt, keeps them
    /// behind what waits.
    pub(super) fn may_try(&mut self, ops: &mut Vec<Op>, now: Instant) -> bool {
        let Some(again) = self.again else { return true };
        self.ops.append(ops);
        if now < again {
            return false;
        }
        std::mem::swap(&mut self.ops, ops);
        true
    }

    /// When it is tried again, if anything waits.
    pub(super) const fn again(&self) -> Option<Instant> {
        self.again
    }

    /// These operations could not be done now.
    pub(super) fn wait(&mut self, partition: TopicPartition, ops: &mut Vec<Op>, error: &Error, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE);
        tracing::warn!(
            %partition,
            %error,
            again_ms = self.pause.as_millis() as u64,
            "the log writer lacks handles or memory: what is to be written waits"
        );
        self.ops.append(ops);
        self.again = Some(now + self.pause);
    }

    /// Everything that waited was done.
    pub(super) fn went_on(&mut self, partition: TopicPartition) {
        if self.again.take().is_some() {
            self.pause = Duration::ZERO;
            tracing::info!(%partition, "the log writer goes on");
        }
    }
}
