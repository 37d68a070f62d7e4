//! `holdfast audit`: a load whose every record is followed to its end, and its account.
//!
//! - [`load`]: produces numbered records at a rate, and keeps the account. [`live`]: consumes them at the same time.
//!   [`stopped`]: readers that stand still.
//! - [`command`]: the command and its help. [`flags`]: what one may set.
//! - [`room`]: whether the topic keeps a run until it is compared.
//! - [`one_run`]: both, then reads everything back and judges. [`report`]: how the account is printed.
//! - [`verify`]: judges later, in a fresh process, what audits wrote before. [`starts`]: what retention removed of it,
//!   as far as [`kept`] explains that.
//!
//! Each run has an id of its own and each of its producers a key per partition, so several runs may share a topic, at the
//! same time as well.

mod command;
mod flags;
mod kept;
mod live;
mod load;
mod one_run;
mod report;
mod room;
mod starts;
mod stopped;
mod verify;

pub use command::{AuditArgs, EXAMPLES, run};
