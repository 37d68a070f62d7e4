//! Administration: topics, moves of replicas, brokers, the controllers' quorum, and what the cluster looks like.
//!
//! - `topics`, `moves`, `cluster`, `quorum`, `recovery`: what is asked and answered. Where the metadata's own types say it,
//!   they are used.
//! - `controllers`: what is asked of the active controller. `service`: the service.

pub mod cluster;
pub mod controllers;
pub mod moves;
pub mod quorum;
pub mod recovery;
pub mod service;
pub mod topics;
