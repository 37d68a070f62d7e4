//! `holdfast-controller recover`: the last resort for a lost majority of the controllers.
//!
//! Works on the folder of a controller that is stopped, under the folder's lock. Without `--accept-loss` it only says what is
//! there, so that the controller that knows most can be chosen: that whose last entry has the highest term, and of these the
//! highest index, as the controllers themselves would elect. It asks the members that the folder knows, and is refused while one
//! is active, or while a majority answers and holds the log. What it then does: [`crate::raft::Survivor`] and
//! [`holdfast_metadata::recovery`].
//!
//! `command`: flags, and what is done. `others`: who answers beside it. `text`: what is printed; `open`: of what may
//! not be committed, `naming`: of the brokers that there are. `width`: lines that fit a terminal.

mod command;
mod naming;
mod open;
mod others;
mod text;
mod width;

pub use command::{Recover, recover};
