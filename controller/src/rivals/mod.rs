//! Two recoveries of the controllers of one cluster: somebody let them go on from one, and somebody from another. Each gives
//! up what the other decides, so one of them has to end, and say so.
//!
//! ```text
//!   recover, on a folder      asks the members that its metadata knows: refused while one is active, or while a majority
//!                             answers and holds the log (`judge`)
//!   its first start since     asks `peers`, before it takes part: gives way to who goes on from another recovery of the same
//!                             cluster; nothing was decided under its own yet. Does not start while one is active, or
//!                             a majority is there, that was recovered less often or never: it would end them. Looks
//!                             for as long as an election takes, unless all answer with empty folders (`first_start`)
//!   active, whenever it is    asks `peers` now and then, also who is no member: of two that meet the lower ends for good
//!                             ([`crate::lineage`]), never both (`meeting`)
//! ```
//!
//! Who gave way or ended goes on only by another recovery from its folder: it then counts one more, and outranks the others.
//! What this does not see: rivals that have no address of each other in `peers`, or between which nothing is carried.
//!
//! - `ask`: what controllers say, asked by their addresses. `judge`, pure: what follows from it.

mod ask;
mod first_start;
mod judge;
mod meeting;

pub(crate) use ask::describe;
pub(crate) use first_start::give_way;
pub(crate) use judge::{Half, Own, Verdict, judge};
pub(crate) use meeting::meet;
