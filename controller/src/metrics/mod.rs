//! What a controller tells Prometheus, on a port of its own.
//!
//! - `table`: every metric; `METRICS.md` is written from it. `reading`: what each is read from, when it is asked for;
//!   `cluster` that of the metadata.
//!
//! Invariants: (1) nothing is kept for a metric alone; (2) a healthy partition has no series of its own, and of those with a
//! trouble a bounded number is named; (3) a page costs one look at each partition at most, on a thread that may block.

mod cluster;
mod reading;
mod table;

pub use reading::ControllerMetrics;
pub use table::TABLE;

#[cfg(test)]
mod tests;
