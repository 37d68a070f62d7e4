//! The vocabulary that every Holdfast crate shares.
//!
//! - [`ids`]: ids, offsets and epochs as types.
//! - [`error`]: the one table of errors that travel.
//! - [`batch`]: Kafka's record batch v2, byte for byte.
//! - `v1` (feature `grpc`): the generated gRPC messages and services; `status`: errors as gRPC status.

pub mod batch;
pub mod error;
pub mod ids;

#[cfg(feature = "grpc")]
pub mod v1;
