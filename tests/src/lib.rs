//! What the tests of the whole share.
//!
//! - [`process`]: clusters of real processes, loads and lossy links.
//! - [`sim`]: the seeded simulation.

pub mod process;
pub mod sim;
