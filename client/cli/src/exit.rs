//! How the program ends: exit codes, and errors that say what to do next.

use std::{fmt, io};

use holdfast_checker::{readback, tracker};
use holdfast_client::{consumer, producer};
use holdfast_proto::error::{ErrorCode, Outcome};

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// All that was asked for is done.
    Ok = 0,
    /// Failed; nothing is in doubt.
    Error = 1,
    /// Wrong usage. Also what clap ends with.
    Usage = 2,
    /// Loss or corruption was found.
    Loss = 3,
    /// Timed out or in doubt: what was asked for may have happened.
    InDoubt = 4,
    /// Interrupted by SIGINT, as shells count it.
    Interrupted = 130,
    /// Ended by SIGTERM, as shells count it.
    Terminated = 143,
}

/// What `--help` says of exit codes.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed, nothing is in doubt
  2  wrong usage
  3  loss or corruption found
  4  timed out or in doubt: it may have happened
  130, 143  interrupted by Ctrl-C, ended by SIGTERM

HOLDFAST_LOG=debug shows what the client does.";

/// Why a command ended without doing what it was asked for.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the process exits with.
    pub code: Code,
    /// For people; empty to end quietly.
    pub message: String,
}

/// The result of a command.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with this code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A failure with [`Code::Error`]: nothing is in doubt.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Code::Error, message)
    }

    /// Wrong usage that the flags' parser cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// A failure to read or write a file.
    pub fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::error(format!("cannot {action} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    /// Nothing is in doubt. Not for standard output, whose failures [`crate::output::ended`] gives at the end.
    fn from(error: io::Error) -> Self {
        Self::error(error.to_string())
    }
}

impl From<holdfast_local::Error> for Failure {
    fn from(error: holdfast_local::Error) -> Self {
        let code = match &error {
            holdfast_local::Error::Spec(_)
            | holdfast_local::Error::NoSuchNode { .. }
            | holdfast_local::Error::OtherPorts { .. } => Code::Usage,
            holdfast_local::Error::NotReady { .. } | holdfast_local::Error::WillNotEnd { .. } => Code::InDoubt,
            _ => Code::Error,
        };
        Self::new(code, error.to_string())
    }
}

/// The exit code for an error of the cluster.
pub fn code_of(code: ErrorCode, outcome: Outcome) -> Code {
    match (code, outcome) {
        (ErrorCode::LogDamaged | ErrorCode::CorruptMessage, _) => Code::Loss,
        (_, Outcome::Unknown) => Code::InDoubt,
        (_, Outcome::NotAppended) => Code::Error,
    }
}

impl From<consumer::Error> for Failure {
    fn from(error: consumer::Error) -> Self {
        let code = match &error {
            consumer::Error::DataLoss { .. } | consumer::Error::Corrupt { .. } | consumer::Error::Diverged { .. } => {
                Code::Loss
            }
            consumer::Error::Client(error) => return Self::from(error.clone()),
            consumer::Error::NoStart { source, .. } => {
                let code = Self::from((**source).clone()).code;
                return Self::new(code, error.to_string());
            }
            consumer::Error::Rejected { detail, .. } if detail.code == ErrorCode::LogDamaged => Code::Loss,
            _ => Code::Error,
        };
        Self::new(code, error.to_string())
    }
}

impl From<producer::Error> for Failure {
    fn from(error: producer::Error) -> Self {
        let code = match &error {
            producer::Error::Client(error) => return Self::from(error.clone()),
            producer::Error::UnknownPartition { .. } => Code::Usage,
            _ if error.is_in_doubt() => Code::InDoubt,
            _ => Code::Error,
        };
        Self::new(code, error.to_string())
    }
}

impl From<tracker::Ended> for Failure {
    /// Nobody is there any more to be told: the command was interrupted.
    fn from(ended: tracker::Ended) -> Self {
        Self::error(ended.to_string())
    }
}

impl From<readback::Error> for Failure {
    fn from(error: readback::Error) -> Self {
        match error {
            readback::Error::Consume(error) => error.into(),
            readback::Error::Ended { .. } => Self::error(error.to_string()),
            readback::Error::Stalled { .. } => Self::new(Code::InDoubt, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_counts_as_success() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code, Code::Error);
    }

    #[test]
    fn doubt_and_damage_have_codes_of_their_own() {
        assert_eq!(code_of(ErrorCode::RequestTimedOut, Outcome::Unknown), Code::InDoubt);
        assert_eq!(code_of(ErrorCode::LogDamaged, Outcome::NotAppended), Code::Loss);
        assert_eq!(code_of(ErrorCode::TopicAlreadyExists, Outcome::NotAppended), Code::Error);
    }
}
