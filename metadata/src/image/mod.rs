//! The state of the cluster at one metadata index: the same on every controller, and on every broker that has applied
//! the records up to it.
//!
//! Changed by records alone, see [`Image::apply`]. A copy shares everything, and what changes is copied a small piece at a
//! time, so that a node can hand an unchanging image to its readers however large it is. Records that do not fit, as those of another stream, are refused
//! with [`Error`] and change nothing: a broker then asks for a snapshot, a controller must stop.
//!
//! `state` is the state and what records do to it; `undo` takes records back; `queries` is what there is to read in it;
//! `loads` are counts that are kept of it, `deleted` the topics that were deleted last, `recoveries` what was given up for
//! partitions, `lost_disks` the disks that were.

mod deleted;
mod loads;
mod lost_disks;
mod queries;
mod recoveries;
mod state;
mod undo;

pub use loads::Load;
pub use state::{Error, Image, Topic};
