//! The controller's configuration: one table of options, read from TOML and from `--set`.
//!
//! Place: `main` loads it, [`crate::run`] takes it. Nothing else reads files or the environment.
//!
//! 1. Every option stands once, in [`options`], with meaning, unit, default and range.
//! 2. Loading reports every problem at once, each with file and line (or with the `--set` it came from).
//! 3. An unknown key is a problem, never ignored.
//! 4. [`Config::validate`] checks how the options relate to each other; a loaded configuration has passed it.

mod load;
pub mod options;
mod validate;
mod value;

pub use load::{Error, Problem, load};
pub use options::Config;
pub use value::LogFormat;

#[cfg(test)]
mod config_tests;
