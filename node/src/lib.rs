//! What every node's program shares: `holdfast-broker` and `holdfast-controller` are built on it alike.
//!
//! - [`program`]: the command line, signals, the end on a broken invariant. [`exit`]: exit codes.
//! - [`settings`]: the table of options, read from a TOML file and from `--set`.
//! - [`telemetry`]: the program's own log.
//! - [`fatal`]: why the program has to end.
//! - [`health`]: what probes ask; [`watchdog`]: whether the node lives.
//! - [`metrics`]: what Prometheus is told, and the port for it.
//! - [`incoming`]: accepted connections, for tonic; [`closer`]: ends one from elsewhere.
//! - [`serving`]: what every port serves alike.
//!
//! Place: below both programs, above `holdfast-proto` and `holdfast-net`. Invariant: nothing here knows which program it
//! serves; what differs is passed in.

pub mod closer;
pub mod exit;
pub mod fatal;
pub mod health;
pub mod incoming;
pub mod metrics;
pub mod program;
pub mod serving;
pub mod settings;
pub mod telemetry;
pub mod watchdog;
