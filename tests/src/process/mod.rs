//! Clusters of real processes under real load: the fixtures of the tests that kill.
//!
//! - [`burden`]: readers that never read, and idle connections.
//! - [`clocks`]: wall clocks that are wrong, each for one node.
//! - [`fixture`]: three controllers and three brokers in a folder of their own, ended and removed with the test.
//! - [`folders`]: the data folder of a node copied, restored, or damaged. [`said`]: what nodes say of it.
//! - [`metrics`]: what a node tells Prometheus, read strictly.
//! - [`load`]: idempotent producers that run until they are told to stop, every record followed to its end.
//! - [`shape`]: clusters of every shape, written, started again and read back.
//! - [`onlooker`]: a reader that reads along, and compares at the end.
//! - [`proxy`]: a TCP link that can lose what comes back.
//! - [`replicas`]: compares the replicas of a partition, batch by batch.
//! - [`stand`]: a cluster on which one fault after the other is tried, with one account.

pub mod burden;
pub mod clocks;
pub mod fixture;
pub mod folders;
pub mod load;
pub mod metrics;
pub mod onlooker;
pub mod proxy;
pub mod replicas;
pub mod said;
pub mod shape;
pub mod stand;
