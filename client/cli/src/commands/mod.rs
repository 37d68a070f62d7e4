//! One file per command: its flags, and what it does.

pub mod cluster;
pub mod dev;
