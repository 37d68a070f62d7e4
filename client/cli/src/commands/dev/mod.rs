//! `holdfast dev`: a cluster of processes on this machine.
//!
//! - [`command`]: the commands and their flags. [`run`]: what each does with which nodes. [`up`], [`down`]: the
//!   start and the end of a cluster.
//! - [`status`]: how the nodes are. [`told`]: what was done, for people or for scripts.

mod command;
mod down;
mod run;
mod status;
mod told;
mod up;

pub use command::DevArgs;
pub use run::run;
