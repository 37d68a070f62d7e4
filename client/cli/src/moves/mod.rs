//! Moves of replicas, as `holdfast partition` and `holdfast broker` make them.
//!
//! - `flags`: how they are started.
//! - `throttle`: how fast brokers may copy, as people write it.
//! - `plan`: what would move, as a table or JSON.
//! - `run`: starts moves a few at a time, watches them to their end, and says how far they are.

mod flags;
mod plan;
mod run;
mod throttle;

pub use flags::Start;

pub use plan::{as_json, as_text};

pub use run::{MoveOutcome, ask, run};

pub use throttle::Throttle;
