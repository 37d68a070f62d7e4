//! The broker's configuration: a TOML file, overridden by `--set key=value`.
//!
//! Place: read once by the program at start and passed on. Invariants: (1) an unknown key is an error; (2) all problems
//! are reported at once, each with its place; (3) a [`Config`] that came from [`load`] satisfies [`Config::validate`].

mod file;
mod options;
mod reference;
mod validate;
mod value;

pub use file::{Place, Problem, Problems, load, parse};
pub use options::{Config, OptionDoc};
pub use reference::reference_toml;
pub use value::{Address, LogFormat};
