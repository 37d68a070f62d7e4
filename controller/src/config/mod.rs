//! The controller's configuration: one table of options, read from TOML and from `--set`.
//!
//! Place: `main` loads it, [`crate::run`] takes it. Nothing else reads files or the environment. Here stand the table of
//! options and their relations; `holdfast_node::settings` reads them. Invariant: a loaded configuration has passed
//! [`Config::validate`].

mod load;
pub mod options;
mod validate;

pub use load::load;
pub use options::Config;

#[cfg(test)]
mod config_tests;
