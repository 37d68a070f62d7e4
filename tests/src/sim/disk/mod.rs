//! A disk that forgets: what a simulated broker has written, and how much of it a crash leaves.
//!
//! - `content`: what a log holds. `work`: what the log writer is told to do with one, and what it reports.
//! - `log`: a log as its process believes it, and as its files have it: what is between the two waits for the writer.
//! - `folder`: all logs of one broker, and its disk's identity. `ages`: when their batches were appended.

mod ages;
mod content;
mod folder;
mod log;
mod work;

pub use ages::{Age, Ages};
pub use folder::Disk;
pub use log::{Crash, SimLog};
pub use work::{Done, Work};
