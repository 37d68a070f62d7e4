//! What a broker tells Prometheus, on a port of its own.
//!
//! - `table`: every metric; `METRICS.md` is written from it. `serving`: the port.
//! - `reading`: what each is read from, when it is asked for; `replicas` and `clock` those that they name. `troubles`, pure: how
//!   a replica is, and what happens next.
//!
//! Invariants: (1) nothing is kept for a metric alone; (2) a healthy replica has no series of its own, and of those with a
//! trouble a bounded number is named; (3) a page costs one look at each replica at most, on a thread that may block.

mod clock;
mod reading;
mod replicas;
mod serving;
mod table;
mod troubles;

pub use reading::BrokerMetrics;
pub(crate) use serving::{bind, serve};
pub use table::TABLE;

#[cfg(test)]
mod tests;
