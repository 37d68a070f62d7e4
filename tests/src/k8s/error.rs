//! Why a scenario failed.

use std::{io, time::Duration};

/// The result of a step.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// Why a step of a scenario failed, which ends the scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started, or its pipes broke.
    #[error("cannot run {command}: {source}")]
    Run {
        /// The command, for messages.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program says that it failed.
    #[error("{command} ended with {code}: {output}")]
    Failed {
        /// The command, for messages.
        command: String,
        /// Exit code, or the signal.
        code: String,
        /// The end of what it printed.
        output: String,
    },
    /// The program did not end.
    #[error("{command} did not end within {} s", .limit.as_secs())]
    TooLong {
        /// The command, for messages.
        command: String,
        /// Time that it was given before it was killed.
        limit: Duration,
    },
    /// A condition did not come true.
    #[error("waited {} s for {what}; at last: {last}", .limit.as_secs())]
    Waited {
        /// The condition, as "the end of all pods".
        what: String,
        /// Time that it was given to come true.
        limit: Duration,
        /// What it was like at the end.
        last: String,
    },
    /// The cluster did what it must not.
    #[error("{0}")]
    Broken(String),
    /// A file of the report cannot be written.
    #[error("cannot write the report: {0}")]
    Report(#[from] io::Error),
    /// Ctrl-C or SIGTERM came: the run ends and cleans up.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A promise that was not kept.
    pub fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}
