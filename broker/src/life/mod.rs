//! The life of a broker, from its start to its end.
//!
//! - [`start`]: start and stop of everything. [`recovery`]: the logs that are opened at start, and `unopened` those
//!   that could not be.
//! - `maintenance`: what is done now and then; `asides`: with folders that were set aside. `probes` answers with
//!   [`safe_to_stop`], what a rolling update waits for.
//! - `findings`: what becomes of a replica with which something is wrong. `scrub` looks for it, and `compare` for replicas
//!   that differ from their leader, with `starts` for those that begin later; `told`, pure, knows which were told so. `token` keeps the proof of the data folder new,
//!   `time_trust` looks at the clocks.
//! - `leaving`: leadership is given away before the process ends; `remains`, pure, counts what that would still harm. Where
//!   nobody takes over `last_words` tells the controllers how far was acknowledged.

mod asides;
mod compare;
mod findings;
mod last_words;
mod leaving;
mod maintenance;
mod probes;
pub mod recovery;
mod remains;
pub mod safe_to_stop;
mod scrub;
pub mod start;
mod starts;
mod time_trust;
mod token;
mod told;
mod unopened;
