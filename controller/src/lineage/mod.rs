//! Whether a controller that speaks is the one that was known under its node id, or an older or a second copy of its
//! data folder. Pure; `raft::lineages` carries it out.
//!
//! A vote and an acknowledgement count once, and for ever. A folder that was restored from a copy has forgotten some;
//! one that two processes use gives them twice. So every message between controllers tells whose history its sender has,
//! the questions and answers of formation, by which they promise, included:
//!
//! ```text
//!   boots      7 │ id of that start │ generation of the mark at its begin     every start on this folder, durable
//!              8 │ id of that start │ …                                       before anything is said in it
//!   generation the mark's now: it grows with each vote and promise, and within a second with the log; durable before it
//!              is said
//! ```
//!
//! Every controller keeps, durably, the last of that for each node id, and tells the others. From then on:
//!
//! 1. **Nothing that was told is forgotten.** What was known under a node id (start and generation) has to be part of the
//!    history that is shown: the same start, and either still in it, or gone on from its generation or a later one. Else
//!    the folder is an older copy.
//! 2. **Only one holder.** Once a start was shown that follows the known one, the earlier is refused: two processes on one
//!    folder, or on copies, do not both go on.
//! 3. **An honest folder is never refused**, whatever crash comes between storing and saying: what is said was stored
//!    before, and a history only grows. Two cases that say less than could be known count as unknown, not as a copy: a
//!    program that shows no history, and a history that begins after the known start (it has the last 64).
//! 4. Who is refused, or hears from another what its own history does not have, notes that durably, and ends. Its node id
//!    is lost with its folder; it joins with an empty one.
//!
//! What others tell of a node may come from a copy that they met first, as a newcomer does. So it is kept beside what the node
//! showed here itself, and takes nothing away from that: who speaks has to go on from both.
//!
//! **Recoveries.** Where the controllers were recovered from one of them, what the others hold is given up. So every message
//! also tells the last recovery that its sender's metadata has ([`holdfast_proto::refusal::Recovered`]: how often, and from whom):
//!
//! 5. **Of two the lower is refused**, with GIVEN_UP, known or not: nobody hears a vote, entries, a snapshot or histories from
//!    it; also not from a controller that the one which was gone on with never knew. It ends for good once it hears that: from
//!    a message, or from a refusal that says by what ([`holdfast_proto::refusal`]) and is true of it.
//! 6. **It is learned with the metadata alone.** It stands in the snapshot that the recovery makes, and which every controller
//!    installs that joins since; at a start openraft restores that before it says anything.
//! 7. **An empty store has none**: it is refused by nobody, and takes what it is given. A message that does not say it counts as
//!    never recovered: who was, refuses it. So there is nothing to watch in a rolling upgrade: a recovery takes a metadata
//!    version that only builds have which say it.
//! 8. **A recovery begins a new history.** It may go on from an older folder: under a node id what is known with a lower recovery
//!    counts for nothing against a higher one, also where a newcomer with an empty store passes it on.
//!
//! What it does not see: a copy that is at most about a second older than what the node said last, in which only log
//! entries came; and one that meets nobody who heard the node since the copy was made.

mod judge;
mod refused;
mod table;
mod wire;

pub use judge::{Boot, Kept, Known, Refusal, Shown, judge, judge_kept};
pub use refused::{Doubt, Own, check_refusal};
pub use table::{Table, Verdict, outranked, with_start};
pub use wire::{Heard, MAX_LINEAGES, Said, from_wire, recovered_from_wire, recovered_to_wire, to_wire};

#[cfg(test)]
mod judge_tests;
