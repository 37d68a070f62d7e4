//! The controllers' half of the simulation: a quorum of them whose folders are lost, older, used twice, emptied and cut, over
//! a network that loses and partitions, while they are killed at any moment.
//!
//! ```text
//!  faults ─▶ world (one queue, one seed) ─▶ process: history, writes, mark  ─▶ raft, a small one
//!                 │                              │ what ships decides         (in the place of the library)
//!                 ├─ network: any order, loss    └─▶ disk: store, then mark, then what is told
//!                 └─ clients, newcomers               oracle: what was promised
//! ```
//!
//! | driven as it ships | where it stands |
//! |---|---|
//! | who speaks, and who is refused or ends | `holdfast_controller::lineage` |
//! | what is told of a store, in which order, and what a store lacks of it | `holdfast_controller::store::mark` |
//!
//! | promise | what guards it |
//! |---|---|
//! | an entry that was committed stays | [`oracle::Oracle::leads`], `committed`, `cuts` |
//! | one process leads under a (term, node id) | [`oracle::Oracle::leads`] |
//! | a folder that nobody changed is never refused | `refuse` in `world/state` |
//! | the others go on, and a newcomer takes the place of who is refused | `world/healing` |
//! | of two recoveries by two operators one goes on | `faults::run_rivals`, `world/healing` |
//!
//! Not driven: the consensus library, in whose place `raft` stands; the order of writes within RocksDB; the first formation
//! and its promises; snapshots; who may take whose place (`holdfast_controller::quorum`), of which the plainest stands in
//! `raft/leading`. Left out because nothing shows it: see `world/disks`.

pub mod disk;
pub mod faults;
pub mod log;
pub mod oracle;
pub mod process;
pub mod raft;
pub mod start;
pub mod world;
