//! The program `holdfast`. Clusters of processes come from `holdfast-local`, loads and verdicts from `holdfast-checker`.
//!
//! - [`cli`]: the flags of all commands, and where each goes. [`commands`]: one file per command.
//! - [`connect`]: which cluster. [`format`]: how `consume` prints. [`output`]: tables and JSON. [`progress`]: bars.
//!   [`moves`]: moves of replicas. [`exit`]: exit codes. [`signals`]: Ctrl-C. `units`: times and sizes.
//!   `delivery`: acknowledgements and codecs. `folder`: where a local cluster is. [`width`]: lines that fit a terminal.
//!   `trust`, `unopened`, `given_up`: what is believed of replicas, which cannot be read, what operators gave up.
//!   [`suggest`]: which command was meant.
//!
//! Conventions: results go to standard output, all else to standard error. Nothing asks without a terminal. `-o json`
//! works with every command that prints a result.

pub mod cli;
pub mod commands;
pub mod connect;
mod delivery;
pub mod exit;
mod folder;
pub mod format;
mod given_up;
pub mod moves;
mod newest;
pub mod output;
pub mod progress;
pub mod signals;
pub mod suggest;
mod trust;
mod units;
mod unopened;
pub mod width;
