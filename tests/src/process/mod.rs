//! Clusters of real processes under real load: the fixtures of the tests that kill.
//!
//! - [`burden`]: readers that never read, and idle connections.
//! - [`fixture`]: three controllers and three brokers in a folder of their own, ended and removed with the test.
//! - [`load`]: idempotent producers that run until they are told to stop, every record followed to its end.
//! - [`shape`]: clusters of every shape, written, started again and read back.
//! - [`proxy`]: a TCP link that can lose what comes back.

pub mod burden;
pub mod fixture;
pub mod load;
pub mod proxy;
pub mod shape;
