//! What was acknowledged against what is read: loads whose every record is followed, and the verdict.
//!
//! - [`account`]: acknowledged records against those that were read, and the [`account::Verdict`].
//! - [`tracker`]: follows each record to its acknowledgement, partition by partition.
//! - [`pauses`]: the longest pause between acknowledgements.
//! - [`ledger`]: keeps the account of what was acknowledged.
//! - [`readback`]: reads a topic and audits it against the account.
//! - [`pace`]: sends at a fixed rate.
//! - [`sequences`]: checks a topic by itself: keys whose sequences are dense and have an end marker.
//! - [`retention`]: what of it retention removed, which is no loss.
//! - [`given_up`]: what of it operators gave up, which is lost and known.
//! - [`statements`]: what must be in each partition, as records in others state it. [`board`]: from what a load states it.
//! - [`holes`]: numbers that may be absent.
//! - [`waiting`]: how long the reading of a topic may stand still.
//! - [`values`]: what the records hold.
//! - [`totals`]: pauses of all partitions together, to be watched while the load runs.
//! - [`text`]: numbers and tables for people.

pub mod account;
pub mod board;
pub mod given_up;
pub mod holes;
pub mod ledger;
pub mod pace;
pub mod pauses;
pub mod readback;
pub mod retention;
pub mod sequences;
pub mod statements;
pub mod text;
pub mod totals;
pub mod tracker;
pub mod values;
pub mod waiting;
