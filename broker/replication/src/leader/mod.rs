//! What a leader decides.
//!
//! - `role`: the state of a leadership, how it begins and ends.
//! - `produce` and `pending`: taking batches, and the producers that wait; an answer is an effect of the step in which its
//!   condition came true.
//! - `fetch` and `progress`: what followers ask, and how far each is known to be.
//! - `isr` and `isr_changes`: the committed and the maximal ISR; who leaves it and who joins.
//! - `high_watermark`: the lowest durable end over the maximal ISR.

mod fetch;
mod high_watermark;
pub(crate) mod isr;
mod isr_changes;
mod pending;
mod produce;
pub(crate) mod progress;
mod role;

pub(crate) use role::Leader;
