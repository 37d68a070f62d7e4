//! What the tests of the whole share.
//!
//! - [`k8s`]: scenarios on a real Kubernetes.
//! - [`process`]: clusters of real processes, loads and lossy links.
//! - [`sim`]: the simulation, by seed or by script.

pub mod k8s;
pub mod process;
pub mod sim;
