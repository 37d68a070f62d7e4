//! `AdminService`: what operators and clients ask.
//!
//! - `service`: the service; a write goes to the active controller, over `forward`. `edge`: how a command is carried out.
//! - `limits`: how long a request's parts may be. `topics`, `moves`, `version`: the writes. `cluster`: the cluster as a
//!   controller describes it. `quorum`: the controllers themselves. `reads`: what reads may cost.

mod cluster;
mod edge;
mod forward;
mod limits;
mod moves;
mod quorum;
mod reads;
mod recovery;
mod service;
mod topics;
mod version;

pub(super) use edge::AdminEdge;
