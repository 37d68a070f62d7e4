//! The program `holdfast`, and what of it others use.
//!
//! Place: users run it; the process tests and the benches use [`dev`] (clusters of real processes) and [`account`]
//! (what was acknowledged against what was read).
//!
//! - [`cli`]: the flags of all commands, and where each goes. [`commands`]: one file per command.
//! - [`dev`]: clusters of processes on loopback.
//! - [`account`]: the account of acknowledged records.
//! - [`workload`]: loads whose every record is followed to its acknowledgement and read back.
//! - [`connect`]: which cluster. [`format`]: how `consume` prints. [`output`]: tables and JSON. [`progress`]: bars.
//!   [`moves`]: moves of replicas. [`exit`]: exit codes. [`signals`]: Ctrl-C.
//!
//! Conventions: results go to standard output, all else to standard error. Nothing asks without a terminal. `-o json`
//! works with every command that prints a result.

pub mod account;
pub mod cli;
pub mod commands;
pub mod connect;
pub mod dev;
pub mod exit;
pub mod format;
pub mod moves;
pub mod output;
pub mod progress;
pub mod signals;
pub mod workload;
