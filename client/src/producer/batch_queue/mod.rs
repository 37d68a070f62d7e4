//! The batches of one partition: from the open one to those that wait for their answer.
//!
//! Place: pure: time and the jitter of its pauses come from outside; [`super::partition`] keeps it under a lock,
//! [`super::outbound`] takes batches out, [`super::lane_task`] brings answers in, [`super::router`] brings time and
//! leaders.
//!
//! ```text
//!   append ──▶ open ──▶ closed ──▶ flights (sequences given, at most max_in_flight) ──▶ finished, in order
//! ```
//!
//! Invariants:
//! 1. Flights have contiguous sequences in the order of acceptance, and finish from the front only.
//! 2. After a failure nothing is sent until every flight that is out is answered or given up; then all that are not
//!    done are sent again, in order, with the same sequences.
//! 3. A flight's `doubt` is set once an attempt ended without a definite answer, and is never cleared while it may be in
//!    the log.
//! 4. A flight that finally failed leaves a **hole** in the sequences: the leader refuses what follows it. Nothing new
//!    is sent over a hole. If the failed batch is *certainly not* in the log, nor is what follows it, so the rest goes
//!    under the next producer epoch with sequences from 0 (KIP-360). If it is *in doubt*, what follows and is in doubt
//!    itself is first resolved under the old epoch: delivered, or in doubt too; it is never sent under the new one,
//!    where the leader could not tell it from a new batch.
//! 5. Only the oldest `max_in_flight` are sent: so many the leader remembers. There are more while batches are split.
//!
//! Failure: every batch ends as delivered, not appended or in doubt, at the latest at its delivery timeout.

mod answer;
mod flight;
mod job;
mod queue;
#[cfg(test)]
mod rig_for_tests;
mod rules;
mod split;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;

pub(crate) use answer::Ack;
pub(crate) use flight::Finished;
pub(crate) use job::{Appended, Next};
pub(crate) use queue::BatchQueue;
pub(crate) use rules::{ProducerIdentity, Rules};
