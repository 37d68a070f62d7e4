//! A simulation of the whole: what ships, over a network that delays, breaks and partitions, and disks that forget
//! what was not fsynced, are lost or come back as they were. The rules in the first table run as they ship; the list at
//! the end says what does not.
//!
//! ```text
//!  faults ─▶ world (one queue, one seed) ─▶ controller: metadata machine, sessions
//!                 │                      ─▶ brokers: roster, heartbeats, lease, image follower, replica cores
//!                 ├─ network: ordered links that break     disk: a writer's queue; crashes take what was not done
//!                 └─ producers: the client's batch queue    oracle: what was promised
//! ```
//!
//! `world` lets things happen by chance, from a seed; `script` by a text, one step after the other. The controllers are one
//! node here: `controllers` simulates a quorum of them.
//!
//! | driven as it ships | where it stands |
//! |---|---|
//! | the replica core | `holdfast-replication` |
//! | which replicas are opened, closed, deleted | `holdfast_broker::partition::roster` |
//! | heartbeats, and how long a broker believes itself alive | `holdfast_broker::outward::heartbeats`, `here::lease` |
//! | how metadata is applied | `holdfast_broker::here::image_follower`, `here::assignment` |
//! | who is alive, fenced and unfenced | `holdfast_controller::sessions` |
//! | commands and elections | `holdfast-metadata` |
//! | batches, sequences, retries, outcomes | `holdfast_client`'s batch queue |
//! | whether a wall clock is trusted, and how old records are | `holdfast_broker::here::time_trust`, `holdfast_log::AgeClock` |
//!
//! | promise, invariant | what guards it |
//! |---|---|
//! | P1 nothing acknowledged is lost | [`oracle::Oracle::final_log`], [`oracle::Oracle::final_outcomes`] |
//! | no ack before its condition: min ISR copies, and all of the committed ISR and ELR hold it | [`oracle::Oracle::acked`] at each ack |
//! | who joins an ISR holds everything acknowledged | [`oracle::Oracle::joins`] at each change of an ISR |
//! | P2 what could be read never changes | [`oracle::Oracle::readable`] at each high watermark, `final_log` |
//! | P3 no duplicate, no other order; what a producer is told is true | `final_log`, `final_outcomes` |
//! | one leader an epoch, of all starts and openings | [`oracle::Oracle::leads`] at each begin of an epoch |
//! | no ack of a leader alone past its lease | [`oracle::Oracle::acked_by_leader`] |
//! | order of cursors, no truncation below the high watermark | `holdfast_replication::invariant` after each step; a halt fails the run |
//! | clean elections, epochs, ISR and ELR | `holdfast_metadata::invariant::check_step` after each command |
//! | absence never deletes, nothing that counts is deleted | `check_deletion` in `world/outgoing`, `world/gone_back` |
//! | no state from before a registration is acted on | [`oracle::Oracle::readable`], with older states told |
//! | with min ISR disks at fault or more: lost in the open or not at all, and as it is on record | `world/beyond` |
//! | after a power loss or an orderly stop of all those that come back lead, if they are min ISR | `world/away` |
//! | retention by time takes nothing that is younger in truth, and goes on once all clocks are right | `world/clocks` |
//! | replicas agree in the end; everything is in sync and in place again | `world/audit` |
//!
//! Not driven, or kinder than in truth: the queues to other nodes (`outbox`: which answers are lost with a stream, and
//! what is asked again), the budget for moves, two processes with one id, an older active controller that
//! still grants leases. With `flush.policy=interval` a core counts what waits for the log writer; so in the runs that have
//! such topics a kill takes nothing from writers' queues and no power fails, and acks are held against what the processes
//! believe written. Torn batches, damage and failed fsyncs are left to the tests of `holdfast-log`; stories have the last.
//!
//! A copy of a disk that was made below the files shows nothing; one that holds the last token that the controllers
//! took passes for the disk itself, though it lacks what was acknowledged since: runs have those too.

pub mod batch;
pub mod broker;
pub mod clocks;
pub mod controller;
pub mod controllers;
pub mod disk;
pub mod faults;
pub mod message;
pub mod network;
pub mod oracle;
pub mod producer;
pub mod script;
pub mod shape;
pub mod world;
