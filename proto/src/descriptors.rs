//! Descriptors for server reflection, beside those of `holdfast.v1`: without them a tool shows the details of an error as
//! bytes.

/// Descriptors of `google.rpc`, whose `ErrorInfo` every refusal carries.
pub const ERROR_DETAILS: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// Descriptors of what those import: `google.protobuf.Any`, in which details travel, and `Duration`.
pub const WELL_KNOWN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/well_known.bin"));
