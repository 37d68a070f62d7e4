//! Bounds on the pause, each on the longest time in which any single partition acknowledged nothing:
//!
//! | what stops | bound | why |
//! |---|---|---|
//! | one broker's process | 5 s | fenced 0.5 s after its connection broke; the aim is 2 s |
//! | the active controller | 3 s | brokers serve on without one; there should be no pause |
//! | a node that vanishes | 10 s | a broker's session of 3 s, then the clients' own detection |
//! | one pod in good order (roll, drain, eviction) | 5 s | leaders are handed over before it ends |
//! | all brokers | until all are ready again + 10 s | nobody is left to write to |

use std::time::Duration;

/// Bound where one broker's process stops at once.
pub const ONE_BROKER: Duration = Duration::from_secs(5);
/// Bound where only controllers stop.
pub const CONTROLLERS_ONLY: Duration = Duration::from_secs(3);
/// Bound where a node vanishes and its connections are not closed.
pub const SILENT_NODE: Duration = Duration::from_secs(10);
/// Bound where pods stop in good order.
pub const IN_ORDER: Duration = Duration::from_secs(5);
/// Added to the time that all pods take to be ready again.
pub const AFTER_READY: Duration = Duration::from_secs(10);
