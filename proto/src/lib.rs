//! The vocabulary that every Holdfast crate shares.
//!
//! - [`ids`]: ids, offsets and epochs as types.
//! - [`error`]: the one table of errors that travel.
//! - [`detail`]: one such error with its message and hints.
//! - [`batch`]: Kafka's record batch v2, byte for byte.
//! - [`forward`]: calls that a node sends on. [`limits`]: sizes that both ends agree on.
//! - [`partitioner`]: which partition a key belongs to. [`near`]: which name was meant by one that does not exist.
//! - `v1` (feature `grpc`): the generated gRPC messages and services; `status`: errors as gRPC status; `descriptors`: what
//!   server reflection serves; `convert`: ids and numbers out of messages; `bounded`: how many entries a request may hold.

pub mod batch;
#[cfg(feature = "grpc")]
pub mod bounded;
#[cfg(feature = "grpc")]
pub mod convert;
#[cfg(feature = "grpc")]
pub mod descriptors;
pub mod detail;
pub mod error;
pub mod forward;
pub mod ids;
pub mod limits;
pub mod near;
pub mod partitioner;
pub mod refusal;

#[cfg(feature = "grpc")]
pub mod status;
#[cfg(feature = "grpc")]
pub mod v1;
