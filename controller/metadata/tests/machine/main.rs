//! Tests of the machine through its public interface: commands in; state, records and answers out.

mod brokers;
mod cluster;
mod kips;
mod partitions;
mod shutdown;
mod topics;
