//! What a node tells Prometheus: `GET /metrics` over HTTP/1.1, on a port of its own.
//!
//! ```text
//!  table (name, unit, type, labels, help) ──▶ the printed reference, which a test keeps true
//!        │
//!  GET /metrics ──▶ port ──▶ Source::read ──▶ Samples ──▶ exposition ──▶ Prometheus' text, or OpenMetrics
//!               one at a time, on a thread that may block
//! ```
//!
//! Place: each program has one table and one [`Source`], and serves it on a [`Port`].
//!
//! 1. Nothing is counted for the metrics alone where something else knows it: a source reads, when it is asked, what is there.
//! 2. A page is bounded: no series for each partition, and of what is named by partition a number of series that the source
//!    bounds.
//! 3. The port is bounded, and nothing waits for it: it has places of its own, each for a few seconds, and it makes one page at
//!    a time.

mod exposition;
mod port;
mod reference;
mod samples;
mod table;

pub use exposition::Format;
pub use port::Port;
pub use reference::markdown;
pub use samples::{Samples, Source, Value};
pub use table::{Kind, Metric, Table, problems};
