//! All scenarios, in the order in which they run.
//!
//! - [`kills`]: pods deleted without grace, processes killed, memory run out. [`volumes`]: pods that lose their disk.
//! - [`nodes`]: drain, eviction, power and cables. [`rolls`]: upgrades, good and bad. [`scale`]: more and fewer brokers.
//! - [`reinstall`]: the chart's own test, and the volumes that outlive it. [`clients`]: those that run elsewhere.

mod all;
pub mod clients;
pub mod kills;
pub mod nodes;
pub mod reinstall;
pub mod rolls;
pub mod scale;
pub mod volumes;

pub use all::ALL;
