//! `holdfast consume`: prints records.
//!
//! - [`command`]: its flags. [`run`]: from the first connection to the end. [`printer`]: writes to standard output.
//! - [`places`]: where reading begins and ends. [`reader`]: the consumer, and how it goes on.
//!   [`damage`]: where it can go on.

mod command;
mod damage;
mod places;
mod printer;
mod reader;
mod run;

pub use command::ConsumeArgs;
pub use run::run;
