//! What the tests of the whole share.
//!
//! - [`sim`]: the seeded simulation.

pub mod sim;
