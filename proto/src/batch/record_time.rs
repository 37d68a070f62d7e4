//! Which times a record may have: one rule for who builds a batch and for the leader that takes it.

use crate::ids::TimestampMs;

/// The latest time that a record may have: the end of the year 9999, ms. What lies behind is no time but a mistake, and
/// no date library prints it.
const MAX: TimestampMs = TimestampMs(253_402_300_799_999);

/// True for a time from 1970 to 9999, and for -1, which stands for none (KIP-32).
pub(super) const fn is_record_time(time: TimestampMs) -> bool {
    -1 <= time.0 && time.0 <= MAX.0
}
