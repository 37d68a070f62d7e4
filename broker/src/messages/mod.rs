//! Administration as protobuf messages, both ways in one place: `grpc` takes requests and gives answers, `outward` gives
//! requests and takes answers. Nothing here knows a connection.
//!
//! - `topics`, `moves`, `cluster`, `quorum`, `recovery`: as the files of the same name in `services/admin`.
//! - `damaged`, `unopened`: what heartbeats say of the last replicas that are damaged, and of those that cannot be opened.
//! - `clock`: what heartbeats and their answers, and the state of the cluster, say of a broker's wall clock.
//!
//! What travels comes back as it was. A malformed request is refused with the name of the field; a malformed answer of a
//! controller, see `malformed`, says nothing of whether the change was made.

pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod damaged;
pub(crate) mod malformed;
pub(crate) mod moves;
pub(crate) mod quorum;
pub(crate) mod recovery;
pub(crate) mod topics;
pub(crate) mod unopened;
