//! A file or a folder per command: its flags, and what it does.

pub mod audit;
pub mod bench;
pub mod broker;
pub mod cluster;
pub mod completion;
pub mod consume;
pub mod controller;
pub mod demo;
pub mod dev;
mod load_thread;
pub mod partition;
pub mod produce;
pub mod quorum;
pub mod topic;
