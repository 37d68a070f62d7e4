//! `holdfast quorum`: the controllers that agree on the metadata, and taking one out of their quorum.

mod command;
mod list;
mod remove;

pub use command::{QuorumArgs, run};
