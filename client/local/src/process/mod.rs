//! Processes: starting them, knowing them again, signalling them.
//!
//! - [`identity`]: a process known by its start, so that a recycled id is never signalled.
//! - [`spawn`]: starts a node's program.
//! - [`launch`]: what runs in the new process before the node's program takes it over.

mod identity;
mod launch;
mod spawn;

pub use identity::{ProcessIdentity, ProcessState};
pub use launch::{LaunchArgs, launch};

pub(super) use spawn::{Launch, spawn};
