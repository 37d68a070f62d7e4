//! Settings of a program: a table of options, read from a TOML file and overridden by `--set key=value`.
//!
//! Place: each program declares its table with [`options!`](crate::options) and the relations between its options in
//! `validate`; [`load`] does the rest.
//!
//! 1. An option stands once, in the table, with meaning, unit, default and range. The struct, its defaults, what can be
//!    read and the printed reference come from there.
//! 2. An unknown key is an error, never ignored; the near key is named.
//! 3. All problems are reported at once, each with file and line, or with the flag that it came from.
//! 4. A loaded configuration has passed its relations.

mod file;
mod problem;
mod reference;
mod table;
mod value;

pub use file::{Relations, load, parse};
pub use problem::{Place, Problem, Problems};
pub use reference::{markdown, toml};
pub use table::{OptionDoc, Settings};
pub use value::{Address, FromToml, LogFormat, in_range};

// For the expansion of `options!`.
#[doc(hidden)]
pub use toml_edit::Value;
#[doc(hidden)]
pub use value::any_value;
