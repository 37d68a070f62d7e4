//! Calls that a node sends on to the one that can answer them.

use std::time::Duration;

/// Metadata key that marks a call as sent on already: it goes no further, or two nodes could pass it back and forth.
pub const FORWARDED: &str = "holdfast-forwarded";

/// How long a node waits until it has applied the metadata index that an answer named, so that the caller finds there what
/// it just made.
pub const INDEX_WAIT: Duration = Duration::from_secs(10);
