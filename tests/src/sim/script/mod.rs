//! Failure stories as text, over the same brokers, controller, disks and oracle as the seeded world: `../scenarios/*.txt`.
//!
//! One command a line, `#` begins a comment. Nothing moves by itself: messages wait on their links, flushes on their disks,
//! until a command lets them go. What brokers and the controller say to keep a session (registrations, heartbeats, and
//! answers that bring no metadata) passes at once, so that a held link ends no lease by accident.
//!
//! | command | meaning |
//! |---|---|
//! | `cluster N min M` | N brokers and one partition on them, min.insync.replicas M; 1 leads, all are in sync |
//! | `produce NODE NAME [acks=0\|1\|all] [count=N] [producer=ID] [epoch=N] [seq=N] [leader-epoch=N]` | sends a batch |
//! | `settle` · `run MS` | everything is delivered and flushed; time passes |
//! | `deliver A>B [last]` · `drop A>B` | the oldest (newest) message of a link arrives; all vanish (0 is the controller) |
//! | `hold A>B ...` · `release A>B ...` · `release-all` | links keep their messages; let them go |
//! | `break A B` | the connection of two brokers breaks, and is made again |
//! | `flush NODE` | the next round of a disk: all appends up to a truncation, or one truncation |
//! | `kill NODE` · `power NODE [keep=N]` · `start NODE [blank]` | a process ends; the power fails; it comes back |
//! | `checkpoint NODE` | its high watermarks reach the disk |
//! | `fence NODE` | the controller fences it; one that runs is not heard until `unfence NODE` |
//! | `elect NODE` | it becomes the preferred leader, and is elected |
//! | `take-away NODE` · `give-back NODE` | a move of the partition without it begins; one with it |
//! | `time-out-proposals NODE` | its calls to the controller pass their deadline; they may still arrive |
//! | `retain NODE OFFSET` | retention removes what lies below |
//! | `lose-beginning NODE COUNT` | of a node that is down: its first batches are gone, and its log tells nothing of it |
//! | `storage-failed NODE` | a write or fsync of its log failed |
//! | `expect ok NAME [at=OFFSET]` · `expect waiting NAME` · `expect error NAME CODE` | answer of the last produce of that name |
//! | `expect log NODE NAME ...` | what is written there, in order |
//! | `expect hw NODE OFFSET` · `expect end NODE OFFSET` · `expect start NODE OFFSET` | cursors of its replica |
//! | `expect readable NODE OFFSET\|CODE` · `expect latest NODE OFFSET\|CODE` · `expect consumer NODE EPOCH ok\|CODE` | what a consumer may do |
//! | `expect leader NODE\|none` · `expect isr NODE ...` · `expect elr NODE ...` | what the controller committed |
//! | `expect role NODE leader\|follower\|waiting\|halted` | what a replica is |
//! | `audit` | every log against every promise |
//!
//! - `links`: messages on their way. `cluster`: the nodes, their disks and the clock. `carrying`: what they want done.
//! - `faults`: what goes wrong. `orders`: what an operator has the controller do. `producing`: batches by name, answers.
//! - `words`, `command`: reads and runs a line. `expectation`: `expect` lines. `runner`: a whole text, and the place of its failure.
//!
//! After each step the oracle and the invariants of cores and metadata are checked as in the seeded world.

mod carrying;
mod cluster;
mod command;
mod expectation;
mod faults;
mod links;
mod orders;
mod producing;
mod runner;
mod words;

pub use runner::run;
