//! Holdfast on a real Kubernetes of several nodes, pods killed in every way that can be made here.
//!
//! Place: the program `holdfast-k8s-tests` (`make test-k8s`) runs [`scenarios`] one after another on a bed of
//! `tests/k8s/bed.sh`. It speaks to Kubernetes by kubectl and helm alone, as users do.
//!
//! - [`bed`]: the machine's Kubernetes. [`program`]: running other programs, each with a deadline. [`wait`]: waiting for
//!   conditions. [`pods`]: what Kubernetes says of pods.
//! - [`cluster`]: the release under test. [`load`]: a Job that produces, consumes and audits.
//! - [`scenario`]: what all scenarios have in common. [`finding`]: what one found, and the judgement on it. [`bounds`]:
//!   how long a pause may be. [`report`]: the table, and the folder of logs.
//!
//! Rules:
//! 1. Every scenario ends with the audit of every acknowledged record, and a bound on the pause.
//! 2. Nothing sleeps for luck: each wait has a condition, a deadline, and says what it waited for.
//! 3. What was made is taken down, also after a failure or an interruption.

pub mod bed;
pub mod bounds;
pub mod cluster;
pub mod error;
pub mod finding;
pub mod load;
pub mod pods;
pub mod program;
pub mod report;
pub mod scenario;
pub mod scenarios;
pub mod wait;

pub use error::{Error, Result};
