//! `holdfast produce`: lines of standard input or of files become records.
//!
//! - [`command`]: its flags. [`run`]: from the first connection to the last outcome, and what signals do meanwhile.
//! - [`input`]: reads records on a thread of its own. [`intake`]: those that wait to be sent, bounded in bytes.
//! - [`record`]: key and value of a line. [`outcomes`]: what became of the records. [`report`]: what is told at the end.

mod command;
mod input;
mod intake;
mod outcomes;
mod record;
mod report;
mod run;

pub use command::ProduceArgs;
pub use run::run;
