//! The own log, as far as the core knows it.
//!
//! - `batch`: a batch without its bytes; generations of a log.
//! - `epoch`, `producer`: leader epochs and producer state; plain data that the log keeps on disk as well.
//! - `local_log`: the cursors, and what a truncation does to them.

pub mod batch;
pub mod epoch;
pub(crate) mod local_log;
pub mod producer;
