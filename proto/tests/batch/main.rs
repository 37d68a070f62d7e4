//! The record batch codec from outside: round trips, hostile bytes, and Kafka's format as others implement it.

mod frame;
mod hostile;
mod oracle;
mod round_trip;
mod sample;
mod walk;
