//! `holdfast demo`: real input through a cluster whose nodes are killed, and an account of every record.
//!
//! - [`input`]: the lines of all text files below a folder.
//! - [`sandbox`]: the folder of the demo, removed afterwards.
//! - [`produce`]: sends every line, and lets the faults happen at their share of the input.
//! - [`faults`]: kills and restarts nodes when they are due.
//! - [`report`]: what is told at the end.

pub mod faults;
pub mod input;
pub mod produce;
pub mod report;
pub mod sandbox;

mod run;

pub use run::{DemoArgs, EXAMPLES, run};
