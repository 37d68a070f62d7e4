//! A seeded simulation of the whole: the real metadata machine and the real replica cores, over a network that delays,
//! breaks and partitions, and disks that forget what was not fsynced.
//!
//! ```text
//!  faults ─▶ world (one queue, one seed) ─▶ controller: holdfast-metadata   ┐ invariants after every event
//!                 │                      ─▶ brokers: holdfast-replication   ┘
//!                 ├─ network: ordered links that break     disk: power loss takes what was not flushed
//!                 └─ producers: idempotent, five in flight  oracle: what was promised
//! ```

pub mod batch;
pub mod broker;
pub mod controller;
pub mod disk;
pub mod faults;
pub mod message;
pub mod network;
pub mod oracle;
pub mod producer;
pub mod world;
