//! Tests of the machine through its public interface: commands in; state, records and answers out.

mod acknowledged_history;
mod brokers;
mod cluster;
mod disks;
mod expected;
mod given_up;
mod kips;
mod last_resort;
mod model;
mod model_disks;
mod model_metadata;
mod model_orders;
mod moves;
mod operators;
mod partitions;
mod random_commands;
mod recovery;
mod shutdown;
mod together;
mod topics;
mod trust;
mod unmade;
mod unsettled;
mod versions;
