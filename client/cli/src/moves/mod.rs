//! Moves of replicas, as `holdfast partition` and `holdfast broker` make them.
//!
//! - `throttle`: how fast brokers may copy, as people write it.
//! - `plan`: what would move, as a table or JSON.
//! - `run`: starts moves a few at a time, watches them to their end, and says how far they are.

mod plan;
mod run;
mod throttle;

pub use plan::{as_json, as_text, ids};
pub use run::{Outcome, run};
pub use throttle::Throttle;
