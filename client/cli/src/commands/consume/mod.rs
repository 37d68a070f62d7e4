//! `holdfast consume`: prints records.
//!
//! - [`command`]: its flags. [`run`]: from the first connection to the end. [`printer`]: writes to standard output.

mod command;
mod printer;
mod run;

pub use command::ConsumeArgs;
pub use run::run;
