//! Generated code of `holdfast.v1`. The comments stand in `proto/holdfast/v1/*.proto`.

#![allow(missing_docs, clippy::all, clippy::pedantic, unused_qualifications, unreachable_pub)]

tonic::include_proto!("holdfast.v1");

/// The descriptors of all messages and services, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
