//! `holdfast controller`: the last resort for controllers whose majority is lost.
//!
//! - [`command`]: the command, and which of its parts is run.
//! - [`recover`]: refuses while a quorum exists, else tells the steps, or hands over to `holdfast-controller recover`.
//! - [`seen`]: what the controllers say, each asked by itself. [`steps`]: what to do then, and on which machine.

mod command;
mod recover;
mod seen;
mod steps;

pub use command::{ControllerArgs, run};
