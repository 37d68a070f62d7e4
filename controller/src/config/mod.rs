//! The controller's configuration: one table of options, read from TOML and from `--set`.
//!
//! Place: `main` loads it, [`crate::run`] takes it. Nothing else reads files or the environment. Here stand the table of
//! options and their relations; `holdfast_node::settings` reads them. Invariant: a loaded configuration has passed
//! [`Config::validate`].

pub mod options;
mod validate;

use std::path::Path;

use holdfast_node::settings::{self, Problems, Relations};

pub use options::Config;

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    settings::load(path, overrides, Relations::OnceAllIsRead)
}

#[cfg(test)]
mod config_tests;
