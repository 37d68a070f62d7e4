//! Clusters of real processes on loopback: what `holdfast dev`, the demo, the fail-over bench and the process tests
//! start, kill and restart.
//!
//! Place: [`ProcessCluster`] is the handle. [`ClusterSpec`] says what is wanted; [`Ports`] and `config` turn it into
//! configuration files; [`state`] keeps what was started; [`process`] starts and signals processes; [`probe`] asks the
//! cluster how it is; [`faults`] kills leaders and times what follows.
//!
//! The folder of a cluster:
//!
//! ```text
//! DIR/cluster.json          what was started: nodes, addresses, process ids
//! DIR/config/<node>.toml    written at every `up`; further settings stand on the command lines
//! DIR/data/<node>/          the node's data
//! DIR/logs/<node>.log       its output, appended at each start
//! ```
//!
//! Invariants
//! 1. A signal goes only to a process that this folder's state names, checked by its start time and by the boot of the
//!    machine, through a pidfd: a recycled process id is never hit.
//! 2. One command at a time changes a folder (a lock on `DIR/lock`), each from the state on disk.
//! 3. Processes of a tied cluster ([`Lifetime::Tied`]) end with the process that started them, however it ends.
//! 4. `wipe` removes only what stands above.

mod cluster;
mod config;
mod error;
pub mod faults;
mod grow;
pub mod ports;
pub mod probe;
pub mod process;
mod programs;
mod ready;
mod role;
mod spec;
pub mod state;
mod status;

pub use cluster::ProcessCluster;
pub use error::Error;
pub use ports::Ports;
pub use programs::Programs;
pub use role::Role;
pub use spec::{ClusterSpec, Lifetime, NodeName, Setting};
pub use status::NodeStatus;
