//! Loads whose every record is followed: what the demo and the benches produce and read back.
//!
//! - [`tracker`]: follows each record to its acknowledgement, partition by partition.
//! - [`pauses`]: the longest pause between acknowledgements.
//! - [`ledger`]: keeps the account of what was acknowledged.
//! - [`readback`]: reads a topic and audits it against the account.
//! - [`pace`]: sends at a fixed rate.
//! - [`sequences`]: checks a topic by itself: keys whose sequences are dense and have a last word.
//! - [`values`]: what the records hold.
//! - [`totals`]: pauses of all partitions together, to be watched while the load runs.

pub mod ledger;
pub mod pace;
pub mod pauses;
pub mod readback;
pub mod sequences;
pub mod totals;
pub mod tracker;
pub mod values;
