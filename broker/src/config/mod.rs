//! The broker's configuration: a TOML file, overridden by `--set key=value`.
//!
//! Place: read once by the program at start and passed on. `options` is the table, `validate` their relations;
//! `holdfast_node::settings` reads them. `limits` is what no setting may change. Invariant: a [`Config`] that came from [`load`] satisfies [`Config::validate`].

#[cfg(test)]
mod config_tests;
pub(crate) mod limits;
mod options;
mod read;
mod validate;

pub use options::Config;
pub use read::{load, parse};
